"""The picture of the sliders: one crop at many settings, beside the input and the clean image.

One slider, or two that share a sum, make a row; two of a box a table; three that share a sum are shown
at their ends, between any two, and in the middle; more of a box each make a row, the others up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from pipelines.evaluate.config import PictureConfig
from pipelines.evaluate.detail import Window, most_detail
from pipelines.evaluate.subject import Subject
from pipelines.pictures import Tile, contact_sheet
from pipelines.sliders.settings import Setting, centres, grid, native, sweeps
from pipelines.sliders.shown import shown
from pipelines.tasks import Example
from pipelines.tasks.decibels import nearness
from tunable_models import ControlSpace

WIDTH_PX = 800
"""Pictures are enlarged as far as the widest row fits a README."""


@dataclass(frozen=True)
class Row:
    """Tiles side by side: a title, their settings, and the controls that change along the row."""

    title: str
    settings: Sequence[Setting]
    names: Sequence[str]


def picture(subject: Subject, example: Example, config: PictureConfig, scale: int = 1) -> Image.Image:
    """The contact sheet, labelled with settings and PSNR of the crop to the clean one.

    Args:
        subject: the network.
        example: of one photograph.
        config: which crop, and how many positions.
        scale: side of an output over that of an input.
    """
    seen = shown(example)
    clean = seen.targets["clean"]
    window = most_detail(clean, max(scale, config.crop_px // scale * scale), scale)
    space = subject.space
    rows = _rows(space, config.values)
    tiles = [
        [_tile(_label(space, s, row.names), subject(example.inputs, s), clean, window) for s in row.settings]
        for row in rows
    ]
    titles = ["PSNR of what is shown to the clean image, in dB", *(row.title for row in rows)]
    zoom = max(1, WIDTH_PX // (max(len(row.settings) for row in rows) * config.crop_px))
    given = _given(seen.inputs, clean, window, scale)
    return contact_sheet([given, *tiles], titles=titles, scale=zoom)


def _rows(space: ControlSpace, values: int) -> list[Row]:
    if space.kind == "simplex" and len(space) > 2:
        settings, count = centres(space), len(space)
        titles = {"One slider up": settings[:count], "Two share": settings[count:-1], "All": settings[-1:]}
        return [Row(title, group, space.names) for title, group in titles.items()]
    if space.kind == "box" and len(space) == 2:
        first, second = space.names
        lines = [grid(space, values)[index::values] for index in range(values)]
        return [Row(f"{second} {native(space, line[0])[second]:.3g}", line, [first]) for line in lines]
    paths = [sweep for sweep in sweeps(space, values) if sweep.held != "low"]
    if space.kind == "simplex":  # two sliders that share a sum are one
        return [Row(f"Turning {paths[0].name}", paths[0].settings, space.names)]
    return [Row(f"Turning {path.name}", path.settings, [path.name]) for path in paths]


def _label(space: ControlSpace, setting: Setting, names: Sequence[str]) -> str:
    units = {control.name: control.unit for control in space.controls}
    values = native(space, setting)
    return "\n".join(f"{name} {values[name]:.3g} {units[name]}".rstrip() for name in names)


def _given(inputs: Tensor, clean: Tensor, window: Window, scale: int) -> list[Tile]:
    """The input, each of its pixels a square of the output's, and the clean image if it is another."""
    large = F.interpolate(inputs, scale_factor=scale, mode="nearest") if scale > 1 else inputs
    if torch.equal(large, clean):
        return [("input", clean[0][:, *window])]
    return [_tile("input", large, clean, window), ("clean image\n", clean[0][:, *window])]


def _tile(label: str, image: Tensor, clean: Tensor, window: Window) -> Tile:
    crop, target = image[0][:, *window].clamp(0, 1), clean[0][:, *window]
    db = nearness(crop[None], target[None]).item()
    return f"{label}\n{db:.1f} dB", crop
