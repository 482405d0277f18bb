"""Objectives that look through a frozen network: distances of its feature maps, or one that it returns.

Sources: Johnson et al., "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", ECCV 2016,
https://arxiv.org/abs/1603.08155; Zhang et al., "The Unreasonable Effectiveness of Deep Features as a
Perceptual Metric" (LPIPS), CVPR 2018, https://arxiv.org/abs/1801.03924.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from tunable_models.errors import ConversionError
from tunable_models.objectives.objective import Objective, check_positive, check_same_shape
from tunable_models.objectives.pixelwise import MSE

Layer = str | int
"""Key of a trunk that returns a mapping, or index of one that returns a sequence."""


class TrunkObjective(nn.Module):
    """An objective that looks through a frozen network.

    A module, so that ``to`` takes the trunk along. The trunk is frozen in place (no gradients, evaluation
    mode for good): give a copy of a network that is still being trained.

    Args:
        trunk: the network.

    Example:
        >>> objective = TrunkObjective(nn.Conv2d(3, 8, 3))
        >>> objective.train().trunk.training, objective.trunk.weight.requires_grad
        (False, False)
    """

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> "TrunkObjective":
        """Stays in evaluation mode: dropout or batch statistics would make the distance drift."""
        super().train(False)
        return self


class LayerWeights:
    """The layers of a trunk to look at, and how much each counts.

    Args:
        layers: keys or indices; all that the trunk returns by default.
        weights: one a layer, positive; 1 each by default.

    Raises:
        ConversionError: no layer, one named twice, or another number of weights than layers.
        TunableError: a weight that is not positive and finite.

    Example:
        >>> chosen = LayerWeights(("deep",), (0.5,))
        >>> chosen.of({"shallow": torch.zeros(1, 8, 4, 4), "deep": torch.ones(1, 8, 2, 2)})["deep"].shape
        torch.Size([1, 8, 2, 2])
    """

    def __init__(self, layers: Sequence[Layer] | None, weights: Sequence[float] | None) -> None:
        if layers is not None and (isinstance(layers, str) or not layers or len(set(layers)) != len(layers)):
            raise ConversionError(f"expected a sequence of different layers, one at least, got {layers!r}")
        if weights is not None and len(weights) != len(layers or ()):
            raise ConversionError(
                f"expected one weight for each of the layers {layers!r}, got {weights!r}; name the layers"
            )
        for weight in weights or ():
            check_positive(self, "weight", weight)
        self.layers = None if layers is None else tuple(layers)
        self._weights = None if weights is None else tuple(weights)

    def of(self, maps: object) -> dict[Layer, Tensor]:
        """The chosen ones among what a trunk returned.

        Raises:
            ConversionError: the trunk returned no feature maps, or not these.
        """
        known = _by_layer(maps)
        layers = tuple(known) if self.layers is None else self.layers
        missing = [layer for layer in layers if layer not in known]
        if missing or not layers:
            have = ", ".join(map(repr, known)) or "none"
            raise ConversionError(f"expected the trunk to return layers {missing}, it has {have}")
        return {layer: known[layer] for layer in layers}

    def total(self, values: Sequence[Tensor]) -> Tensor:
        """Layers' values, each (B,), weighed and added."""
        weights = self._weights or (1.0,) * len(values)
        parts = [weight * value for weight, value in zip(weights, values, strict=True)]
        return torch.stack(parts).sum(0)


def _by_layer(maps: object) -> dict[Layer, Tensor]:
    if isinstance(maps, Tensor):
        return {0: maps}
    if isinstance(maps, Mapping):
        return dict(maps)
    if isinstance(maps, Sequence) and not isinstance(maps, str):
        return dict(enumerate(maps))
    raise ConversionError(
        "expected a trunk that returns feature maps as a tensor, a sequence or a mapping, got "
        f"{type(maps).__name__}"
    )


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


class Perceptual(TrunkObjective):
    """The distance that a network returns by itself.

    Args:
        trunk: maps output and target, both (B, 3, H, W), to B numbers, (B,) or (B, 1, 1, 1). Frozen in
            place.

    Example:
        >>> class Blurred(nn.Module):
        ...     def forward(self, output, target):
        ...         return nn.functional.avg_pool2d(output - target, 4).square().mean((1, 2, 3))
        >>> Perceptual(Blurred())(torch.zeros(2, 3, 8, 8), torch.ones(2, 3, 8, 8))
        tensor([1., 1.])
    """

    blends_targets: ClassVar[bool] = False
    needs_target: ClassVar[bool] = True

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__(trunk)

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """(B,) distances of (B, 3, H, W) output and target.

        Raises:
            ConversionError: the network does not return one number a sample.
            TunableError: the shapes differ.
        """
        check_same_shape(self, output, target)
        distance: Tensor = self.trunk(output, target)
        if distance.numel() != len(output):
            raise ConversionError(
                f"expected {type(self.trunk).__name__} to return one number for each of {len(output)} "
                f"samples, got shape {tuple(distance.shape)}; switch its averaging over the batch off"
            )
        return distance.flatten()
