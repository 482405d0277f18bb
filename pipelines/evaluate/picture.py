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
from pipelines.evaluate.detail import Window, most_detail
from pipelines.evaluate.subject import Subject
from pipelines.measure.settings import Setting, Sweep, centres, native, sweeps
from pipelines.measure.shown import shown
from pipelines.tasks import Example
from pipelines.tasks.decibels import nearness
from tunable_models import ControlSpace


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
    given = _given(seen.inputs, clean, window, scale)
    tiles = [
        [
            *given,
            *(
                _tile(_label(space, s, row.names), subject(example.inputs, s), clean, window)
                for s in row.settings
            ),
        ]
        for row in rows
    ]
    return contact_sheet(tiles, titles=[row.title for row in rows])


def _rows(space: ControlSpace, values: int) -> list[Row]:
    if space.kind == "simplex" and len(space) > 2:
        settings, count = centres(space), len(space)
        titles = {"One slider up": settings[:count], "Two share": settings[count:-1], "All": settings[-1:]}
        return [Row(title, group, space.names) for title, group in titles.items()]
    paths = [sweep for sweep in sweeps(space, values) if sweep.held != "low"]
    if space.kind == "simplex":  # two sliders that share a sum are one
        return [Row(f"Slider {paths[0].name}", paths[0].settings, space.names)]
    return [Row(_title(space, path), path.settings, [path.name]) for path in paths]


def _title(space: ControlSpace, path: Sweep) -> str:
    """Such as ``Slider denoise, with deblur 1``."""
    others = [name for name in space.names if name != path.name]
    held = _label(space, path.settings[0], others).replace("\n", ", ")
    return f"Slider {path.name}" + (f", with {held}" if others else "")


def _label(space: ControlSpace, setting: Setting, names: Sequence[str]) -> str:
    units = {control.name: control.unit for control in space.controls}
    values = native(space, setting)
    return "\n".join(f"{name} {values[name]:.3g} {units[name]}".rstrip() for name in names)


def _given(inputs: Tensor, clean: Tensor, window: Window, scale: int) -> list[Tile]:
    """The clean image, and the input, each of its pixels a square of the output's, if it is another."""
    large = F.interpolate(inputs, scale_factor=scale, mode="nearest") if scale > 1 else inputs
    if torch.equal(large, clean):
        return [("input", clean[0][:, *window])]
    return [("clean image\nPSNR to this one", clean[0][:, *window]), _tile("input", large, clean, window)]


def _tile(label: str, image: Tensor, clean: Tensor, window: Window) -> Tile:
    crop, target = image[0][:, *window].clamp(0, 1), clean[0][:, *window]
    db = nearness(crop[None], target[None]).item()
    return f"{label}\n{db:.1f} dB", crop
