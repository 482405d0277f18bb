"""LPIPS, the learned perceptual distance; the only module that imports ``lpips``.

Zhang et al., "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", CVPR 2018,
https://arxiv.org/abs/1801.03924. The package brings the calibrated linear heads; the trunk's ImageNet
weights are torchvision's. Nothing is downloaded here: without a weight file the trunk is random from a
fixed seed, which ``label`` states.
"""

import warnings
from pathlib import Path
from typing import Any, ClassVar, Literal

import lpips
import torch
from torch import Tensor, nn
from torchvision import models

from pipelines.core.errors import DataError
from pipelines.core.random_streams import stream_seed
from pipelines.features.pretrained import read_published
from tunable_models.architectures.padding import mirror_pad

Trunk = Literal["alex", "vgg", "squeeze"]

WEIGHTS = {
    "alex": models.AlexNet_Weights.IMAGENET1K_V1,
    "vgg": models.VGG16_Weights.IMAGENET1K_V1,
    "squeeze": models.SqueezeNet1_1_Weights.IMAGENET1K_V1,
}
MIN_SIDE_PX = {"alex": 31, "vgg": 16, "squeeze": 17}
"""Below these a trunk's last pooling has nothing left to pool."""

RANGE_TOLERANCE = 1e-4


class LPIPS(nn.Module):
    """LPIPS between images in [0, 1], one number a sample; also an objective of ``tunable_models``.

    Args:
        net: the trunk; alex is the one the literature reports.
        weights: file of torchvision's weights for it; by default the one in torch hub's cache, if any.

    Attributes:
        label: the trunk and where its weights are from, for reports.

    Raises:
        DataError: the weight file is missing or is not torchvision's.
    """

    blends_targets: ClassVar[bool] = False
    needs_target: ClassVar[bool] = True

    def __init__(self, net: Trunk = "alex", weights: Path | None = None) -> None:
        super().__init__()
        self._min_side = MIN_SIDE_PX[net]
        self._metric: Any = _build_random(net)
        published = read_published(WEIGHTS[net].url, weights)
        if published is None:
            self.label = f"{net} (seeded random trunk: not comparable with published LPIPS)"
        else:
            _load_trunk(self._metric.net, published)
            self.label = f"{net} (published weights)"
        self.requires_grad_(False)
        self.eval()

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Distances, (B,), of (B, 3, H, W) RGB with [0, 1] as black and white; differentiable.

        Images smaller than the trunk's minimum are mirrored at their lower and right borders. The
        range is not checked: an output in training may leave it a little.
        """
        distance: Tensor = self._metric(*(mirror_pad(x, 1, self._min_side) * 2 - 1 for x in (output, target)))
        return distance.flatten()

    @torch.inference_mode()
    def measure(self, output: Tensor, target: Tensor) -> Tensor:
        """The metric: :meth:`forward` without gradients, on images that are checked.

        Raises:
            DataError: the shapes differ or are not (B, 3, H, W), or values leave [0, 1].
        """
        if output.shape != target.shape or output.dim() != 4 or output.shape[1] != 3:
            raise DataError(
                f"expected two images of one shape (B, 3, H, W), got {tuple(output.shape)} and "
                f"{tuple(target.shape)}"
            )
        for image in (output, target):
            low, high = (bound.item() for bound in image.aminmax())
            # Written so that NaN, for which every comparison is false, is refused too.
            if not (low >= -RANGE_TOLERANCE and high <= 1 + RANGE_TOLERANCE):
                raise DataError(f"expected images in [0, 1], got values from {low:g} to {high:g}; clamp them")
        return self(output, target)  # type: ignore[no-any-return]


def _build_random(net: Trunk) -> Any:
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        torch.manual_seed(stream_seed("lpips trunk", net))
        # lpips 0.1.4 still says pretrained= to torchvision.
        warnings.filterwarnings("ignore", message=".*'(pretrained|weights)'", module="torchvision")
        return lpips.LPIPS(net=net, pnet_rand=True, verbose=False)


def _load_trunk(trunk: nn.Module, published: dict[str, Tensor]) -> None:
    """Load weights into lpips' slices: ``slice<k>.<x>`` is torchvision's ``features.<x>``."""
    keys = {key: f"features.{key.split('.', 1)[1]}" for key in trunk.state_dict()}
    trunk.load_state_dict({key: published[name] for key, name in keys.items()})
