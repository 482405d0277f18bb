import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tunable_models import build
from zoo.pixels import TensorPixels, restore_tiles
from zoo.tiling import Network, OnTile, mirror, pad_to_multiple, plan_tiles

SIDE = st.integers(1, 30)


@pytest.fixture(scope="module")
def enlarging() -> nn.Module:
    return build("edsr", width=4, blocks=1, scale=2).eval().requires_grad_(False)


class Strided(nn.Module):
    """Halves and doubles the size again: right for multiples of 2 only, radius 3."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 4, 4, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(4, 3, 4, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.up(self.down(x).relu())
        return output


def run_tiled(
    network: Network, batch: Tensor, scale: int = 1, on_tile: OnTile | None = None, **options: int
) -> Tensor:
    """The output for the whole batch, by its tiles."""
    pixels = TensorPixels(batch, scale)
    restore_tiles(network, pixels, plan_tiles(*batch.shape[-2:], **options), scale, on_tile)
    return pixels.result


@settings(max_examples=25)
@given(height=SIDE, width=SIDE, tile=st.integers(4, 36))
def test_tiled_is_whole(enlarging: nn.Module, height: int, width: int, tile: int) -> None:
    batch = torch.rand(2, 3, height, width)
    tiled = run_tiled(enlarging, batch, tile_px=tile, radius_px=6, scale=2)
    torch.testing.assert_close(tiled, enlarging(batch), rtol=0, atol=1e-6)


@settings(max_examples=50)
@given(height=SIDE, width=SIDE, tile=st.integers(1, 20), multiple=st.sampled_from([2, 4, 6, 8]))
def test_tiles_of_a_strided_network_stay_aligned(height: int, width: int, tile: int, multiple: int) -> None:
    network = Strided().requires_grad_(False)
    batch = torch.rand(1, 3, height, width)
    whole = network(pad_to_multiple(batch, multiple))[..., :height, :width]
    tiled = run_tiled(network, batch, tile_px=tile, radius_px=3, multiple=multiple)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-6)


@settings(max_examples=25)
@given(height=SIDE, width=SIDE, tile=st.integers(1, 20), multiple=st.sampled_from([1, 2, 3, 4]))
def test_tiles_begin_where_both_multiples_ask(height: int, width: int, tile: int, multiple: int) -> None:
    network = Strided().requires_grad_(False)
    batch = pad_to_multiple(torch.rand(1, 3, height, width), 2 * multiple)
    tiled = run_tiled(network, batch, tile_px=tile, radius_px=3, multiple=multiple, alignment=2)
    torch.testing.assert_close(tiled, network(batch), rtol=0, atol=1e-6)


def test_a_tile_off_the_grid_shows() -> None:
    network = Strided().requires_grad_(False)
    with pytest.raises(RuntimeError, match="must match"):
        run_tiled(network, torch.rand(1, 3, 16, 16), tile_px=5, radius_px=3)


@settings(max_examples=50)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    tile=st.integers(1, 20),
    radius=st.integers(0, 9),
    grid=st.sampled_from([1, 2, 8]),
)
def test_tiles_of_an_image_have_one_size(height: int, width: int, tile: int, radius: int, grid: int) -> None:
    seen: set[tuple[int, int]] = set()

    def network(batch: Tensor) -> Tensor:
        seen.add((-(-batch.shape[2] // grid), -(-batch.shape[3] // grid)))
        return batch

    batch = torch.rand(1, 3, height, width)
    assert torch.equal(run_tiled(network, batch, tile_px=tile, radius_px=radius, alignment=grid), batch)
    assert len(seen) == 1


def test_a_radius_that_is_too_small_shows(enlarging: nn.Module) -> None:
    batch = torch.rand(1, 3, 16, 16)
    tiled = run_tiled(enlarging, batch, tile_px=8, radius_px=1, scale=2)
    assert (tiled - enlarging(batch)).abs().max() > 1e-6


@settings(max_examples=50)
@given(height=SIDE, width=SIDE, multiple=st.integers(1, 16))
def test_padding_reaches_the_multiple_and_keeps_the_image(height: int, width: int, multiple: int) -> None:
    batch = torch.rand(1, 3, height, width)
    padded = pad_to_multiple(batch, multiple)
    assert padded.shape[2] % multiple == padded.shape[3] % multiple == 0
    assert padded.shape[2] - height < multiple
    assert padded.shape[3] - width < multiple
    assert torch.equal(padded[..., :height, :width], batch)


def test_padding_reflects_where_it_can_and_repeats_where_it_cannot() -> None:
    row = torch.tensor([1.0, 2.0, 3.0]).expand(1, 3, 1, 3)
    padded = pad_to_multiple(row, 4)
    assert padded[0, 0].tolist() == [[1.0, 2.0, 3.0, 2.0]] * 4


@pytest.mark.parametrize(("length", "stop"), [(1, 4), (2, 4), (3, 4), (5, 8), (4, 4)])
def test_a_span_is_mirrored_as_the_whole_axis_is_padded(length: int, stop: int) -> None:
    axis = torch.arange(float(length))
    padded = pad_to_multiple(axis.expand(1, 3, 4, length), 4)[0, 0, 0]
    for start in range(length):
        assert torch.equal(axis[mirror(slice(start, stop), length)], padded[start:])


def test_tiles_are_told(enlarging: nn.Module) -> None:
    told: list[tuple[int, int]] = []
    run_tiled(
        enlarging,
        torch.rand(1, 3, 30, 50),
        tile_px=10,
        radius_px=6,
        scale=2,
        on_tile=lambda *state: told.append(state),
    )
    assert len(told) > 4
    assert told == [(done, len(told)) for done in range(1, len(told) + 1)]
