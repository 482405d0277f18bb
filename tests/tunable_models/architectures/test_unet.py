import pytest
import torch

from plain_networks import reach_of
from tunable_models import ArchitectureError, build, get_architecture


@pytest.mark.parametrize("size", [(1, 1), (9, 6)])
def test_starts_as_the_identity(size: tuple[int, int]) -> None:
    x = torch.rand(2, 3, *size)
    assert torch.equal(build("unet", width=2)(x), x)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_the_radius_is_what_an_output_pixel_sees(depth: int) -> None:
    config = {"width": 1, "depth": depth}
    contract = get_architecture("unet").contract(**config)
    assert contract.alignment == 2**depth
    assert reach_of("unet", config) == contract.radius_px


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"depth": 0}, "depth must be an integer from 1 to 6"),
        ({"depth": 7}, "depth must be an integer from 1 to 6"),
        ({"width": 128, "depth": 6}, "the limit is 4096, take at most 64"),
    ],
)
def test_impossible_options_are_refused(config: dict[str, int], message: str) -> None:
    with pytest.raises(ArchitectureError, match=message):
        build("unet", **config)
