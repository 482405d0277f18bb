from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipelines.core.errors import DataError
from pipelines.features.niqe import load_niqe
from tunable_models.metrics import NIQE

Y, X = np.mgrid[-3:4, -3:4]
WINDOW = np.exp(-(X**2 + Y**2) / (2 * (7 / 6) ** 2))
WINDOW /= WINDOW.sum()


@pytest.fixture
def arrays() -> dict[str, Any]:
    random = np.random.default_rng(0)
    root = random.standard_normal((36, 50))
    return {
        "mu_pris_param": random.random((1, 36)),
        "cov_pris_param": root @ root.T,
        "gaussian_window": WINDOW,
    }


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.npz"


def test_the_model_of_a_file_is_the_model_of_its_arrays(file: Path, arrays: dict[str, Any]) -> None:
    np.savez(file, **arrays)
    picture = torch.rand(1, 3, 96, 192, generator=torch.Generator().manual_seed(0))
    mean, covariance = (torch.from_numpy(arrays[name]) for name in ("mu_pris_param", "cov_pris_param"))
    assert torch.equal(load_niqe(file)(picture), NIQE(mean[0], covariance)(picture))


def test_single_precision_a_flat_mean_and_no_window_are_fine(file: Path, arrays: dict[str, Any]) -> None:
    del arrays["gaussian_window"]
    np.savez(file, **{name: array.astype(np.float32).squeeze() for name, array in arrays.items()})
    model = load_niqe(file)
    assert (model.mean.shape, model.mean.dtype) == ((36,), torch.float64)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mu_pris_param": np.zeros(35)}, r"shapes \(36,\) and \(36, 36\)"),
        ({"cov_pris_param": np.zeros((36, 35))}, "shapes"),
        ({"mu_pris_param": np.full((1, 36), np.nan)}, "finite"),
        ({"mu_pris_param": np.array(["a"] * 36)}, "floating point"),
        ({"gaussian_window": WINDOW[::-1, :5]}, "gaussian_window"),
        ({"gaussian_window": WINDOW + 0.001}, "gaussian_window"),
        ({"gaussian_window": np.array(["a"] * 49).reshape(7, 7)}, "gaussian_window"),
        ({"cov_pris_param": np.array([{}], dtype=object)}, "plain arrays"),
    ],
)
def test_another_model_is_refused(
    file: Path, arrays: dict[str, Any], change: dict[str, Any], words: str
) -> None:
    np.savez(file, **(arrays | change))
    with pytest.raises(DataError, match=words) as caught:
        load_niqe(file)
    assert str(file) in str(caught.value)


def test_a_missing_array_is_named(file: Path, arrays: dict[str, Any]) -> None:
    del arrays["cov_pris_param"]
    np.savez(file, **arrays)
    with pytest.raises(DataError, match="cov_pris_param, found mu_pris_param, gaussian_window"):
        load_niqe(file)


def test_a_missing_file_is_an_error(file: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        load_niqe(file)


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut short", b"\x93NUMPY"])
def test_another_file_is_an_error(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"\.npz file of plain arrays"):
        load_niqe(file)


def test_a_single_array_is_an_error(file: Path) -> None:
    with file.open("wb") as stream:
        np.save(stream, np.zeros(36))
    with pytest.raises(DataError, match=r"\.npz file of plain arrays"):
        load_niqe(file)
