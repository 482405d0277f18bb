"""Style transfer between styles: one control a style, with a sum of 1.

Every style has a loss of Gram matrices (Johnson et al., "Perceptual Losses for Real-Time Style Transfer
and Super-Resolution", ECCV 2016, https://arxiv.org/abs/1603.08155); the content of the photograph and a
little smoothness count at every setting. Losses are measured in units that do not depend on the trunk: 1
is as far as the styles are from each other, and as far as the content of one picture is from another's.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import combinations
from pathlib import Path, PurePath
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import Field, field_validator, model_validator
from torch import Tensor

from pipelines.core.records import sha256_file
from pipelines.data.style_images import find_style_image, read_style_image
from pipelines.tasks.distances import negative_db
from pipelines.tasks.registry import TaskOptions
from pipelines.tasks.task import Example, Key, Task
from pipelines.tasks.trunks import Trunk, TrunkConfig
from tunable_models import (
    Control,
    ControlSpace,
    Features,
    GramStyle,
    MultiLoss,
    OmegaError,
    Term,
    TotalVariation,
)

CONTENT_PX = 128
"""Side of the squares whose contents are compared to find the scale of content."""


class StyleTransferConfig(TaskOptions):
    """Which styles, and how strongly they are painted."""

    name: Literal["style-transfer"] = "style-transfer"
    styles: dict[str, str] = Field(
        default={
            "galaxies": "skimage:hubble_deep_field.jpg",
            "retina": "skimage:retina.jpg",
            "tissue": "skimage:ihc.png",
        },
        min_length=2,
        max_length=8,
    )
    """Pictures by the name of their control, which come in alphabetical order: files, absolute or relative
    to the repository root; ``skimage:<file>`` is one inside the scikit-image package."""
    style_px: int = Field(default=256, ge=32, le=2048)
    """Shorter side that style pictures are scaled to; smaller makes finer strokes."""
    content_layer: str = "relu2_2"
    """Layer of the trunk that content is compared in."""
    content_scale: float = Field(default=1.0, gt=0)
    """How much content counts beside style."""
    smoothness_scale: float = Field(default=0.1, gt=0)
    """How much total variation counts."""
    trunk: TrunkConfig = TrunkConfig(layers=("relu1_2", "relu2_2", "relu3_3", "relu4_3"))
    """The network that sees styles, and content."""

    @field_validator("styles")
    @classmethod
    def _in_order(cls, styles: dict[str, str]) -> dict[str, str]:
        # Omega's order must survive JSON records, whose keys are sorted.
        return dict(sorted(styles.items()))

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.content_layer not in self.trunk.layers:
            raise ValueError(
                f"content_layer {self.content_layer!r} must be one of trunk.layers, {list(self.trunk.layers)}"
            )
        if len({PurePath(picture) for picture in self.styles.values()}) < len(self.styles):
            raise ValueError(f"styles: expected a picture of its own for every style, got {self.styles}")
        try:
            _style_space(self.styles)
        except OmegaError as error:
            raise ValueError(f"styles: {error}") from error
        return self


class StyleTransfer(Task):
    """The task; its only target is ``clean``, the photograph itself."""

    name: ClassVar[str] = "style-transfer"
    description: ClassVar[str] = "Painting photographs in a mixture of styles."
    config_class = StyleTransferConfig

    def __init__(self, config: StyleTransferConfig, root: Path = Path()) -> None:
        self.config = config
        self.space = _style_space(config.styles)
        self._root = root

    @classmethod
    def from_config(cls, config: Any, root: Path) -> Self:
        """The task of these options; relative paths in them start at ``root``."""
        return cls(config, root)

    @property
    def levels(self) -> Mapping[str, float]:
        """None: photographs are painted as they are."""
        return {}

    @property
    def materials(self) -> Mapping[str, str]:
        """The trunk, and the SHA-256 of every style picture."""
        files = {name: find_style_image(path, self._root) for name, path in self.config.styles.items()}
        digests = {f"style {name}": sha256_file(file) for name, file in files.items()}
        return {"trunk": self._trunk.label, **digests}

    def to(self, device: torch.device) -> Self:
        """Move the trunk and the styles."""
        self._loss.to(device)
        return self

    def sample(self, clean: Tensor, omega: Tensor, keys: Sequence[Key]) -> Example:
        """The photographs; nothing is drawn."""
        return Example(clean, {"clean": clean})

    def degrade(self, clean: Tensor, levels: Mapping[str, float], key: Key) -> Example:
        """The photographs."""
        return Example(clean, {"clean": clean})

    def shares(self, output: Tensor, example: Example, omega: Tensor) -> Mapping[str, Tensor]:
        """The styles, the content and the smoothness."""
        return self._loss.shares(output, example.targets, omega)

    def target(self, example: Example, omega: Tensor) -> None:
        """None: no picture is the painted one."""

    def progress(self, output: Tensor, example: Example, omega: Tensor, control: int) -> Tensor:
        """Nearness to the control's style, (B,) in dB."""
        return negative_db(self._style_scale * self._styles[control](output.clamp(0, 1)))

    def measures(self, output: Tensor, example: Example) -> Mapping[str, Tensor]:
        """``content_db``: nearness to the photograph's content."""
        distance = self._content(output.clamp(0, 1), example.targets["clean"])
        return {"content_db": negative_db(self._content_scale * distance)}

    @cached_property
    def _trunk(self) -> Trunk:
        return self.config.trunk.build_trunk(self._root)

    @cached_property
    def _paintings(self) -> list[Tensor]:
        files = (find_style_image(path, self._root) for path in self.config.styles.values())
        return [read_style_image(file, self.config.style_px) for file in files]

    @cached_property
    def _styles(self) -> list[GramStyle]:
        return [GramStyle(self._trunk, painting) for painting in self._paintings]

    @cached_property
    def _content(self) -> Features:
        return Features(self._trunk, layers=(self.config.content_layer,))

    @cached_property
    def _style_scale(self) -> float:
        """One over the mean distance between the styles."""
        distances = [
            sum((one.grams[layer] - other.grams[layer]).square().sum().item() for layer in one.grams)
            for one, other in combinations(self._styles, 2)
        ]
        return len(distances) / sum(distances)

    @cached_property
    def _content_scale(self) -> float:
        """One over the mean distance between the contents of the styles' pictures."""
        side = min(CONTENT_PX, self.config.style_px)
        squares = [painting[None, :, :side, :side] for painting in self._paintings]
        distances = [self._content(one, other) for one, other in combinations(squares, 2)]
        return 1 / torch.cat(distances).mean().item()

    @cached_property
    def _loss(self) -> MultiLoss:
        always = [
            Term(objective=self._content, scale=self.config.content_scale * self._content_scale),
            Term(objective=TotalVariation(), scale=self.config.smoothness_scale),
        ]
        styles = [Term(objective=style, scale=self._style_scale) for style in self._styles]
        return MultiLoss(self.space, [(style, *always) for style in styles])


def _style_space(styles: Mapping[str, str]) -> ControlSpace:
    return ControlSpace.simplex(
        *(
            Control(
                name=name,
                description=f"How much is painted in the style {name!r}.",
                default=1 / len(styles),
                metric="nearness to the style's Gram matrices",
            )
            for name in styles
        )
    )
