"""What objectives do with the network they look through: freeze it and take its feature maps."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from tunable_models.errors import ConversionError
from tunable_models.objectives.constants import check_positive

Layer = str | int
"""Key of a trunk that returns a mapping, or index of one that returns a sequence."""


class TrunkObjective(nn.Module):
    """An objective that looks through a frozen network.

    A module, so that ``to`` takes the trunk along. The trunk is frozen in place (no gradients, evaluation
    mode for good): give a copy of a network that goes on training.

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
        """Evaluation mode, whatever is asked: dropout or batch statistics would make the distance drift."""
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
