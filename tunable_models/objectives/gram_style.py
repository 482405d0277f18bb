"""Style as correlations of features.

Gatys et al., "Image Style Transfer Using Convolutional Neural Networks", CVPR 2016,
https://doi.org/10.1109/CVPR.2016.265; for feed-forward networks in Johnson et al., "Perceptual Losses for
Real-Time Style Transfer and Super-Resolution", ECCV 2016, https://arxiv.org/abs/1603.08155.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from tunable_models.errors import ConversionError, TunableError
from tunable_models.objectives.features import Layer, LayerWeights, TrunkObjective
from tunable_models.objectives.objective import at_least_float32


def gram(features: Tensor) -> Tensor:
    """The Gram matrices of feature maps: which channels are active together, wherever that is.

    Args:
        features: (B, C, H, W).

    Returns:
        (B, C, C), F F^T / (C H W) with F the maps as C x HW; float32 for features in half precision.

    Raises:
        TunableError: another number of dimensions.

    Example:
        >>> gram(torch.ones(1, 2, 4, 4))
        tensor([[[0.5000, 0.5000],
                 [0.5000, 0.5000]]])
    """
    if features.dim() != 4:
        raise TunableError(f"gram expected feature maps (B, C, H, W), got {tuple(features.shape)}")
    # Sums over thousands of pixels leave the range of half precision.
    flat = at_least_float32(features).flatten(2)
    with torch.autocast(features.device.type, enabled=False):
        return flat @ flat.mT / (flat.shape[1] * flat.shape[2])


class GramStyle(TrunkObjective):
    """How far an output's style is from one style: squared error of Gram matrices, summed over layers.

    It needs no target: the style is its own, and two of them with different styles blend in the space of
    Gram matrices. In a layer the squares are summed over the C x C entries (squared Frobenius norm).

    Args:
        trunk: maps (B, 3, H, W) in [0, 1] to feature maps: one tensor, a sequence or a mapping. Frozen in
            place.
        style: the style's image (3, H, W) or (1, 3, H, W), on the trunk's device; or its Gram matrices
            (C, C) by layer.
        layers: which layers, by index or key; all by default, or those of the given matrices.
        weights: one a layer; 1 each by default.

    Raises:
        ConversionError: layers and weights do not belong together, or a layer without Gram matrix.
        TunableError: a style of another shape, or a weight that is not positive and finite.

    Example:
        >>> trunk = nn.Conv2d(3, 4, 3)
        >>> style = torch.rand(3, 16, 16, generator=torch.Generator().manual_seed(0))
        >>> objective = GramStyle(trunk, style)
        >>> objective(style.expand(2, 3, 16, 16)).allclose(torch.zeros(2))
        True
        >>> objective.grams[0].shape
        torch.Size([4, 4])
    """

    blends_targets: ClassVar[bool] = True
    needs_target: ClassVar[bool] = False

    def __init__(
        self,
        trunk: nn.Module,
        style: Tensor | Mapping[Layer, Tensor],
        layers: Sequence[Layer] | None = None,
        weights: Sequence[float] | None = None,
    ) -> None:
        super().__init__(trunk)
        if isinstance(style, Tensor):
            matrices = self._matrices(style, LayerWeights(layers, None))
        else:
            matrices = LayerWeights(layers, None).of(style)
        self.layers = LayerWeights(tuple(matrices), weights)
        self._names = {layer: f"gram{index}" for index, layer in enumerate(matrices)}
        for layer, name in self._names.items():
            self.register_buffer(name, _gram_matrix(layer, matrices[layer]))

    @property
    def grams(self) -> dict[Layer, Tensor]:
        """The style's Gram matrices (C, C) by layer: what to keep of a style instead of its image."""
        return {layer: self.get_buffer(name) for layer, name in self._names.items()}

    def forward(self, output: Tensor, target: Tensor | None = None) -> Tensor:
        """(B,) distances of (B, 3, H, W) from the style.

        Raises:
            ConversionError: the trunk does not return the layers, or maps of another number of channels.
        """
        maps = self.layers.of(self.trunk(output))
        errors = []
        for layer, style in self.grams.items():
            ours = gram(maps[layer])
            if ours.shape[1:] != style.shape:
                raise ConversionError(
                    f"expected {len(style)} channels in layer {layer!r} as in the style, got {ours.shape[1]}"
                )
            errors.append((ours - style).square().sum((1, 2)))
        return self.layers.total(errors)

    @torch.no_grad()
    def _matrices(self, style: Tensor, layers: LayerWeights) -> dict[Layer, Tensor]:
        image = style.unsqueeze(0) if style.dim() == 3 else style
        if image.dim() != 4 or len(image) != 1:
            raise TunableError(
                f"expected one style image (3, H, W) or (1, 3, H, W), got {tuple(style.shape)}"
            )
        return {layer: gram(maps)[0] for layer, maps in layers.of(self.trunk(image)).items()}


def _gram_matrix(layer: Layer, matrix: Tensor) -> Tensor:
    if matrix.dim() != 2 or matrix.shape[0] != matrix.shape[1]:
        raise TunableError(
            f"expected a Gram matrix (C, C) of the style in layer {layer!r}, got {tuple(matrix.shape)}"
        )
    return matrix.detach().clone()
