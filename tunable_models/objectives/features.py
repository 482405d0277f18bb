"""Distances between features of a trained network, also called content or perceptual loss.

Johnson et al., "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV 2016,
https://arxiv.org/abs/1603.08155.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tunable_models.objectives.mse import MSE
from tunable_models.objectives.objective import Objective
from tunable_models.objectives.same_shape import check_same_shape
from tunable_models.objectives.trunk import Layer, LayerWeights, TrunkObjective


class Features(TrunkObjective):
    """A weighted sum over layers of a distance between the trunk's feature maps.

    The target's features carry no gradient. With the squared error, the default, weighted sums over
    targets are best between them in the space of features.

    Args:
        trunk: maps (B, 3, H, W) in [0, 1] to feature maps (B, C', H', W'): one tensor, a sequence or a
            mapping. Frozen in place.
        layers: which of them, by index or key; all by default.
        weights: one a layer; 1 each by default.
        distance: between two maps of one layer.

    Raises:
        ConversionError: layers and weights do not belong together.
        TunableError: a weight that is not positive and finite.

    Example:
        >>> trunk = nn.Conv2d(3, 8, 3)
        >>> objective = Features(trunk, layers=(0,), weights=(0.5,))
        >>> image = torch.rand(2, 3, 8, 8)
        >>> objective(image, image)
        tensor([0., 0.])
    """

    needs_target = True

    def __init__(
        self,
        trunk: nn.Module,
        layers: Sequence[Layer] | None = None,
        weights: Sequence[float] | None = None,
        distance: Objective | None = None,
    ) -> None:
        super().__init__(trunk)
        self.layers = LayerWeights(layers, weights)
        self.distance = distance or MSE()

    @property
    def blends_targets(self) -> bool:
        """As the distance does."""
        return self.distance.blends_targets

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """(B,) distances of (B, 3, H, W) output and target.

        Raises:
            ConversionError: the trunk does not return the layers.
            TunableError: the shapes differ.
        """
        check_same_shape(self, output, target)
        ours = self.layers.of(self.trunk(output))
        with torch.no_grad():
            theirs = self.layers.of(self.trunk(target))
        return self.layers.total([self.distance(ours[layer], theirs[layer]) for layer in ours])
