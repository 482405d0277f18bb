"""The picture of the sliders: a crop at true size along each slider, beside the clean image and the input.

Every slider of a box has a row, the others held high; two that share a sum are one slider; three or more
that share a sum are shown at their ends, between any two, and in the middle.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from pipelines.core.contact_sheet import Tile, contact_sheet
from pipelines.evaluate.config import PictureConfig
from pipelines.measure.photographs import Batch
from pipelines.measure.settings import Setting, Sweep, face_centers, native_values, slider_sweeps
from pipelines.measure.sliders import Runner
from pipelines.tasks import Task
from pipelines.tasks.degradations import gaussian_blur
from pipelines.tasks.distances import psnr_clamped
from tunable_models import ControlSpace

DETAIL_SIGMAS_PX = (1.0, 4.0)
"""Detail is what the wider blur takes away and the narrower leaves: edges, not the grain of fur or film."""

Window = tuple[slice, slice]
"""Rows and columns."""


@dataclass(frozen=True)
class _Row:
    """Tiles side by side: a title, their settings, and the controls that change along the row."""

    title: str
    settings: Sequence[Setting]
    names: Sequence[str]


def draw_sliders(runner: Runner, task: Task, photograph: Batch, config: PictureConfig) -> Image.Image:
    """The contact sheet, labeled with settings and PSNR of the crop to the clean one."""
    space, scale = task.space, task.scale
    shown, inputs = photograph.shown, photograph.raw.inputs
    clean = shown.targets["clean"]
    window = find_detail(clean, max(scale, config.crop_px // scale * scale), scale)
    rows = _list_rows(space, config.values)
    references = _reference_tiles(shown.inputs, clean, window, scale)
    tiles = [
        [
            *references,
            *(
                _make_tile(_label_setting(space, s, row.names), runner(inputs, s), clean, window)
                for s in row.settings
            ),
        ]
        for row in rows
    ]
    return contact_sheet(tiles, titles=[row.title for row in rows])


def find_detail(clean: Tensor, side: int, step: int = 1) -> Window:
    """Where a crop of that side, at most the whole image (1, 3, H, W), holds most detail.

    Its corners are multiples of ``step``.
    """
    fine, coarse = (gaussian_blur(clean, torch.tensor([sigma])) for sigma in DETAIL_SIGMAS_PX)
    energy = (fine - coarse).square().mean(1, keepdim=True)
    height, width = (min(side, length // step * step) for length in clean.shape[-2:])
    windows = F.avg_pool2d(energy, (height, width), stride=step)[0, 0]
    top, left = (step * place for place in divmod(int(windows.argmax()), windows.shape[1]))
    return slice(top, top + height), slice(left, left + width)


def _list_rows(space: ControlSpace, values: int) -> list[_Row]:
    if space.kind == "simplex" and len(space) > 2:
        settings, count = face_centers(space), len(space)
        titles = {"One slider up": settings[:count], "Two share": settings[count:-1], "All": settings[-1:]}
        return [_Row(title, group, space.names) for title, group in titles.items()]
    sweeps = [sweep for sweep in slider_sweeps(space, values) if sweep.held != "low"]
    if space.kind == "simplex":  # two sliders that share a sum are one
        return [_Row(f"Slider {sweeps[0].name}", sweeps[0].settings, space.names)]
    return [_Row(_title_sweep(space, sweep), sweep.settings, [sweep.name]) for sweep in sweeps]


def _title_sweep(space: ControlSpace, sweep: Sweep) -> str:
    """Such as ``Slider denoise, with deblur 1``."""
    others = [name for name in space.names if name != sweep.name]
    held = _label_setting(space, sweep.settings[0], others).replace("\n", ", ")
    return f"Slider {sweep.name}" + (f", with {held}" if others else "")


def _label_setting(space: ControlSpace, setting: Setting, names: Sequence[str]) -> str:
    units = {control.name: control.unit for control in space.controls}
    values = native_values(space, setting)
    return "\n".join(f"{name} {values[name]:.3g} {units[name]}".rstrip() for name in names)


def _reference_tiles(inputs: Tensor, clean: Tensor, window: Window, scale: int) -> list[Tile]:
    """The clean image, and the input, each of its pixels a square of the output's, if it is another."""
    large = F.interpolate(inputs, scale_factor=scale, mode="nearest") if scale > 1 else inputs
    if torch.equal(large, clean):
        return [("input", clean[0][:, *window])]
    return [
        ("clean image\nPSNR to this one", clean[0][:, *window]),
        _make_tile("input", large, clean, window),
    ]


def _make_tile(label: str, image: Tensor, clean: Tensor, window: Window) -> Tile:
    crop, target = image[0][:, *window].clamp(0, 1), clean[0][:, *window]
    return f"{label}\n{psnr_clamped(crop[None], target[None]).item():.1f} dB", crop
