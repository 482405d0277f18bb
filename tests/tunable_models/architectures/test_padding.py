import pytest
import torch

from tunable_models.architectures.padding import crop, mirror_index, mirror_pad


def mirrored(side: int, length: int) -> list[int]:
    """There and back again, the ends not repeated."""
    path = [*range(side), *range(side - 2, 0, -1)]
    return [path[i % len(path)] for i in range(length)]


@pytest.mark.parametrize("multiple", [1, 3, 8])
@pytest.mark.parametrize("least", [1, 2])
@pytest.mark.parametrize("height", range(1, 18))
def test_sides_grow_to_multiples_by_mirroring(height: int, multiple: int, least: int) -> None:
    width = 18 - height
    x = torch.rand(2, 3, height, width)
    padded = mirror_pad(x, multiple, least)
    wanted = [max(-(-side // multiple), least) * multiple for side in (height, width)]
    assert list(padded.shape[-2:]) == wanted
    rows, columns = mirrored(height, wanted[0]), mirrored(width, wanted[1])
    assert torch.equal(padded, x[:, :, rows][..., columns])


def test_reflection_of_torch_is_the_same_where_it_works() -> None:
    x = torch.rand(1, 2, 9, 13)
    assert torch.equal(mirror_pad(x, 8), torch.nn.functional.pad(x, (0, 3, 0, 7), "reflect"))


def test_cropping_undoes_padding_and_lets_gradients_through() -> None:
    x = torch.rand(1, 2, 5, 3, requires_grad=True)
    back = crop(mirror_pad(x, 8), 5, 3)
    assert torch.equal(back, x)
    back.sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))  # type: ignore[arg-type]


@pytest.mark.parametrize("side", [1, 2, 3, 7])
@pytest.mark.parametrize("radius", [1, 6, 20])
def test_places_on_both_sides_are_mirrored_any_number_of_times(side: int, radius: int) -> None:
    index = mirror_index(torch.arange(-radius, side + radius), side).tolist()
    assert index[radius:] == mirrored(side, side + radius)
    assert index[: radius + 1][::-1] == mirrored(side, radius + 1)
