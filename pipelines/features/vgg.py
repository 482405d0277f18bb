"""The features of VGG, a trunk for the feature and style objectives of ``tunable_models``.

Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015,
https://arxiv.org/abs/1409.1556. The ImageNet weights are torchvision's. Nothing is downloaded here: without
a weight file the trunk is random from a fixed seed, which ``label`` states.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from pipelines.core.errors import DataError
from pipelines.core.random_streams import generator
from pipelines.features.pretrained import read_published

VGG = Literal["vgg16", "vgg19"]

WEIGHTS = {
    "vgg16": "https://download.pytorch.org/models/vgg16-397923af.pth",
    "vgg19": "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
}
"""Where torchvision publishes them. It is not asked: importing it takes as long as importing torch."""
CONVOLUTIONS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""In each of the five blocks that pooling separates."""
WIDTHS = (64, 128, 256, 512, 512)
STYLE_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
"""Those of Johnson et al., https://arxiv.org/abs/1603.08155, who take relu2_2 of them for content."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class VGGFeatures(nn.Module):
    """Feature maps of VGG by layer, from images in [0, 1].

    Modules behind the deepest layer asked for are never made.

    Args:
        net: 16 or 19 layers.
        layers: such as ``relu3_3``: the third convolution of the third block, after its ReLU.
        weights: file of torchvision's weights; by default the one in torch hub's cache, if any.

    Attributes:
        label: the trunk and where its weights are from, for reports.

    Raises:
        DataError: a layer that the network does not have, or a weight file that is missing or is not
            torchvision's.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, net: VGG = "vgg16", layers: Sequence[str] = STYLE_LAYERS, weights: Path | None = None
    ) -> None:
        super().__init__()
        self.features, names = _build_modules(net, layers)
        self._names = {index: name for index, name in names.items() if name in layers}
        self._min_side = 2 ** (int(names[len(self.features) - 1].removeprefix("relu").split("_")[0]) - 1)
        published = read_published(WEIGHTS[net], weights)
        if published is None:
            _randomize(self.features, net)
            self.label = f"{net} (seeded random trunk: not comparable with published feature losses)"
        else:
            kept = {key: published[f"features.{key}"] for key in self.features.state_dict()}
            self.features.load_state_dict(kept)
            self.label = f"{net} (published weights)"
        for name, values in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)
        self.requires_grad_(False)
        self.eval()

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Maps (B, C', H', W') by layer of (B, 3, H, W) RGB with [0, 1] as black and white; differentiable.

        The range is not checked: an output in training may leave it a little.

        Raises:
            DataError: another shape, or sides that pooling leaves nothing of.
        """
        if images.dim() != 4 or images.shape[1] != 3 or min(images.shape[-2:]) < self._min_side:
            raise DataError(
                f"expected images (B, 3, H, W) with sides of {self._min_side} px at least, got "
                f"{tuple(images.shape)}"
            )
        x = (images - self.mean) / self.std
        maps: dict[str, Tensor] = {}
        for index, module in enumerate(self.features):
            x = module(x)
            if index in self._names:
                maps[self._names[index]] = x
        return maps


def layer_names(net: VGG) -> tuple[str, ...]:
    """The layers of a network that can be looked at, shallow ones first."""
    return tuple(name for name, _ in _name_modules(net) if name)


def _build_modules(net: VGG, layers: Sequence[str]) -> tuple[nn.Sequential, dict[int, str]]:
    """The modules up to the deepest layer, numbered as torchvision does, and the names of their ReLUs."""
    modules = list(_name_modules(net))
    known = {name: index for index, (name, _) in enumerate(modules) if name}
    unknown = [layer for layer in layers if layer not in known]
    if unknown or not layers or isinstance(layers, str):
        raise DataError(f"expected layers among {', '.join(known)} of {net}, got {unknown or layers!r}")
    deepest = max(known[layer] for layer in layers)
    # Made without values, which either the weight file or the seed fills in.
    kept = nn.Sequential(*(module for _, module in modules[: deepest + 1])).to_empty(device="cpu")
    return kept, {index: name for name, index in known.items() if index <= deepest}


def _name_modules(net: VGG) -> Iterator[tuple[str, nn.Module]]:
    before = 3
    for block, (convolutions, width) in enumerate(zip(CONVOLUTIONS[net], WIDTHS, strict=True), 1):
        for number in range(1, convolutions + 1):
            yield "", nn.Conv2d(before, width, 3, padding=1, device="meta")
            yield f"relu{block}_{number}", nn.ReLU(inplace=True)
            before = width
        yield "", nn.MaxPool2d(2)


def _randomize(features: nn.Sequential, net: VGG) -> None:
    """He's initialization, from a seed.

    It keeps the mean square of activations from layer to layer (He et al., ICCV 2015,
    https://arxiv.org/abs/1502.01852). torch's default divides it by six at every layer, so that the deep
    maps of a random trunk would be constant and weigh nothing.
    """
    stream = generator("vgg trunk", net)
    for parameter in features.parameters():
        if parameter.dim() > 1:
            nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=stream)
        else:
            nn.init.zeros_(parameter)
