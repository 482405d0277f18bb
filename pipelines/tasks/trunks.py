"""VGG as the trunk of perceptual objectives, and scales that do not depend on its weights.

With or without published weights, and from layer to layer, features differ in size by orders of magnitude.
Scales are therefore measured, on pictures that are always the same.
"""

from pathlib import Path
from typing import Literal, Self
from weakref import ref

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from pipelines.core.config import Section
from pipelines.core.random_streams import generator
from pipelines.features.vgg import VGGFeatures, layer_names
from pipelines.tasks.degradations import bicubic_downsample
from tunable_models import L1, Objective

REFERENCE_PX = 64


class TrunkConfig(Section):
    """Where features come from."""

    net: Literal["vgg16", "vgg19"] = "vgg16"
    """VGG of that many layers."""
    layers: tuple[str, ...] = Field(default=("relu1_2", "relu2_2", "relu3_3"), min_length=1)
    """Its layers that are compared, such as relu3_3; the deeper, the slower."""
    weights: str | None = None
    """File of torchvision's weights, absolute or relative to the repository root. Null looks into torch
    hub's cache; nothing is downloaded, and without weights the trunk is random from a fixed seed."""

    @model_validator(mode="after")
    def _check_layers(self) -> Self:
        unknown = [layer for layer in self.layers if layer not in layer_names(self.net)]
        if unknown:
            raise ValueError(
                f"{self.net} has no layer {unknown[0]!r}; it has {', '.join(layer_names(self.net))}"
            )
        return self

    def build_trunk(self, root: Path) -> "Trunk":
        """Build the trunk.

        Raises:
            DataError: the weight file is missing or not torchvision's.
        """
        file = root / self.weights if self.weights else None
        return Trunk(VGGFeatures(self.net, self.layers, file))


class Trunk(nn.Module):
    """VGG's feature maps, computed once for objectives that look at one output after another.

    Attributes:
        label: the network and where its weights are from.
    """

    def __init__(self, vgg: VGGFeatures) -> None:
        super().__init__()
        self.vgg = vgg
        self.label = vgg.label
        self._last: tuple[ref[Tensor], int] | None = None
        self._maps: dict[str, Tensor] = {}

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Maps by layer of images (B, 3, H, W), as :class:`pipelines.features.vgg.VGGFeatures` makes them."""
        if not torch.is_grad_enabled():  # an output that is trained is what several objectives look at
            maps: dict[str, Tensor] = self.vgg(images)
            return maps
        if not self._is_last(images):
            self._maps, self._last = self.vgg(images), (ref(images), images._version)
        return self._maps

    def _is_last(self, images: Tensor) -> bool:
        if self._last is None:
            return False
        tensor, version = self._last
        return tensor() is images and version == images._version


@torch.no_grad()
def match_l1_scale(objective: Objective) -> float:
    """The scale that makes an objective as large as L1 for details that went missing.

    Measured between a picture of seeded noise at all sizes and the same without its finest details.
    """
    sharp = _octave_noise()
    soft = F.interpolate(bicubic_downsample(sharp, 4), scale_factor=4, mode="bicubic", align_corners=False)
    return (L1()(soft, sharp) / objective(soft, sharp)).item()


def _octave_noise() -> Tensor:
    """A picture (1, 3, 64, 64) with as much contrast at every size: octaves of noise."""
    stream = generator("reference picture")
    octaves = [torch.randn(1, 3, side, side, generator=stream) for side in (4, 8, 16, 32, REFERENCE_PX)]
    total = sum(F.interpolate(o, size=(REFERENCE_PX, REFERENCE_PX), mode="bicubic") for o in octaves)
    assert isinstance(total, Tensor)
    return (0.5 + 0.1 * total).clamp(0, 1)
