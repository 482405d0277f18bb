"""What is timed: networks with weights off the identity, and the calls that take turns."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

import zoo
from benchmarks.cost.timing import Call
from tunable_models import ControlSpace, build, make_tunable
from zoo.catalog import bundled_store
from zoo.tiling import Network

BUNDLED = "denoise-deblur"
PRESETS = {
    "edsr": "baseline-x1",
    "nafnet": "deblur-w32",
    "stylenet": "johnson",
    "swinir": "denoise-light",
    "drunet": "half-m",
}
"""Of each architecture the smallest published size that keeps a picture's size, where there is one."""

ENGINES = ("torch", "torch, channels_last", "onnx")
"""The first is what the others are compared with: kernels and pictures in torch's own layout."""


@dataclass(frozen=True)
class Subject:
    """One network at one size of picture.

    Attributes:
        name: for the table.
        entry: where it is published.
        side_px: of the square picture.
    """

    name: str
    entry: zoo.Entry
    side_px: int


def subjects(names: list[str], folder: Path) -> Iterator[Subject]:
    """The bundled entry at two sizes, and each architecture, published into a store in that folder."""
    if BUNDLED in names:
        entry = bundled_store().open(BUNDLED)
        yield from (Subject(f"{BUNDLED} {entry.version}", entry, side) for side in (256, 512))
    for name, preset in PRESETS.items():
        if name in names:
            yield Subject(f"{name} {preset}", _publish(name, preset, folder), 256)


def calls(subject: Subject) -> tuple[dict[str, Call], dict[str, float]]:
    """One call of each engine, by name, and how far its picture is from the first one's, on [0, 1]."""
    image = torch.rand(1, 3, subject.side_px, subject.side_px, generator=torch.Generator().manual_seed(0))
    runs = _runs(subject.entry)
    with torch.no_grad():
        pictures = {name: run(image).clamp(0, 1) for name, run in runs.items()}
    apart = {name: float((own - pictures[ENGINES[0]]).abs().max()) for name, own in pictures.items()}
    return {name: _call(run, image) for name, run in runs.items()}, apart


def _runs(entry: zoo.Entry) -> Mapping[str, Network]:
    plain, last, fast = (zoo.load(entry.folder, engine=engine) for engine in ("torch", "torch", "onnx"))
    omega = plain.space.omega()
    network = plain.network.to(memory_format=torch.contiguous_format)
    setting = tuple(omega.tolist())
    return dict(
        zip(ENGINES, (network.at(omega), last._engine.at(setting), fast._engine.at(setting)), strict=True)
    )


def _call(run: Network, image: Tensor) -> Call:
    def call(_: int) -> None:
        with torch.no_grad():
            run(image)

    return call


def _publish(name: str, preset: str, folder: Path) -> zoo.Entry:
    torch.manual_seed(0)
    network = make_tunable(build(name, preset), ControlSpace.box("denoise", "deblur"))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))
    return zoo.publish(
        network,
        name=name,
        task="benchmark",
        license={"weights": "Apache-2.0", "data": "none"},
        store=zoo.Store(folder),
    )
