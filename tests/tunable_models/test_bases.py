import pytest
import torch

from tunable_models import ControlSpace, ConversionError
from tunable_models.bases import make_basis

BOX, SIMPLEX = ControlSpace.box("a", "b"), ControlSpace.simplex("a", "b", "c")


@pytest.mark.parametrize(
    ("name", "space", "omega", "expected"),
    [
        ("linear", SIMPLEX, [0.2, 0.3, 0.5], [0.2, 0.3, 0.5]),
        ("delta", BOX, [0.2, 0.3], [1, 0.2, 0.3]),
        ("delta", SIMPLEX, [0.2, 0.3, 0.5], [1, 0.3, 0.5]),
        ("multilinear", BOX, [0.2, 0.3], [1, 0.2, 0.3, 0.06]),
        ("affine", BOX, [0.0, 0.0], [0.5, 0.5]),
        ("affine", BOX, [1.0, 0.0], [1.0, 0.0]),
    ],
)
def test_coefficients(name: str, space: ControlSpace, omega: list[float], expected: list[float]) -> None:
    basis = make_basis(name, space)  # type: ignore[arg-type]
    assert basis(torch.tensor(omega)).tolist() == pytest.approx(expected)
    assert basis(torch.tensor([omega] * 2)).shape == (2, basis.kernels)


def test_multilinear_gives_every_corner_its_own_kernel() -> None:
    basis = make_basis("multilinear", BOX)
    assert torch.linalg.matrix_rank(basis(torch.tensor(BOX.vertices))) == 4
    assert torch.linalg.matrix_rank(make_basis("delta", BOX)(torch.tensor(BOX.vertices))) == 3


@pytest.mark.parametrize(
    ("name", "space"),
    [
        ("linear", BOX),
        ("affine", ControlSpace.box("a")),
        ("multilinear", SIMPLEX),
        ("multilinear", ControlSpace.of(5)),
        ("mlp", BOX),
    ],
)
def test_impossible_bases_are_refused(name: str, space: ControlSpace) -> None:
    with pytest.raises(ConversionError):
        make_basis(name, space)  # type: ignore[arg-type]
