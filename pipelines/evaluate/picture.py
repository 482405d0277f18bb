"""The picture of the sliders: one crop along each of them, between the input and the clean image."""

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from pipelines.evaluate.config import PictureConfig
from pipelines.evaluate.scores import CLEAN, MAX_PSNR_DB
from pipelines.evaluate.settings import Sweep, sweeps
from pipelines.pictures import Tile, contact_sheet
from pipelines.tasks.degradations import gaussian_blur
from pipelines.tasks.denoise_deblur import Degraded
from tunable_models import TunableNetwork, psnr

DETAIL_SIGMAS_PX = (1.0, 4.0)
"""Detail is what the wider blur takes away and the narrower leaves: edges, not the grain of fur or film."""

TILE_PX = 150
"""Pictures are enlarged to about this side: seven of them fill the width of a README."""


def picture(network: TunableNetwork, degraded: Degraded, config: PictureConfig) -> Image.Image:
    """A row a slider, the others up; labelled with position and PSNR of the crop to the clean one.

    Args:
        network: ready for inference.
        degraded: of one photograph.
        config: which crop.
    """
    clean = degraded.targets[:, CLEAN]
    window = _most_detail(clean, config.crop_px)
    paths = [sweep for sweep in sweeps(network.space, config.values) if sweep.held]
    rows = [_row(network, degraded, sweep, window) for sweep in paths]
    titles = [f"Turning {sweep.name}, {_others(sweep)} (PSNR to the clean image)" for sweep in paths]
    scale = max(1, round(TILE_PX / config.crop_px))
    return contact_sheet(rows, titles=titles, scale=scale)


Window = tuple[slice, slice]


def _row(network: TunableNetwork, degraded: Degraded, sweep: Sweep, window: Window) -> list[Tile]:
    clean = degraded.targets[0, CLEAN]
    with torch.inference_mode():
        outputs = [network.at(torch.tensor(setting))(degraded.inputs)[0] for setting in sweep.settings]
    shown = [
        ("input", degraded.inputs[0]),
        *((f"{sweep.name} {value:g}", output) for value, output in zip(sweep.values, outputs, strict=True)),
    ]
    tiles = [_tile(label, image, clean, window) for label, image in shown]
    return [*tiles, ("clean image", clean[:, *window])]


def _tile(label: str, image: Tensor, clean: Tensor, window: Window) -> Tile:
    crop = image[:, *window].clamp(0, 1)
    db = psnr(crop[None], clean[:, *window][None]).clamp(max=MAX_PSNR_DB).item()
    return f"{label}\n{db:.1f} dB", crop


def _others(sweep: Sweep) -> str:
    names = [name for name in sweep.space.names if name != sweep.name]
    return f"with {' and '.join(names)} at {sweep.held:g}"


def _most_detail(clean: Tensor, side: int) -> Window:
    """Where a crop of that side, at most the whole image, holds most detail."""
    fine, coarse = (gaussian_blur(clean, torch.tensor([sigma])) for sigma in DETAIL_SIGMAS_PX)
    energy = (fine - coarse).square().mean(1, keepdim=True)
    height, width = (min(side, length) for length in clean.shape[-2:])
    windows = F.avg_pool2d(energy, (height, width), stride=1)[0, 0]
    top, left = divmod(int(windows.argmax()), windows.shape[1])
    return slice(top, top + height), slice(left, left + width)
