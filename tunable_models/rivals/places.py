"""Where rival methods put their layers in the architectures of this package."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from tunable_models.architectures import drunet, edsr, nafnet, stylenet, swinir
from tunable_models.errors import ConversionError


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where layers go in one architecture.

    Attributes:
        head: paths of the first convolution, the first one there is counts; none where a norm behind it
            removes what a constant plane adds.
        tail: the same of the last convolution, whose output is added to the picture.
        block: type of the residual blocks.
        branches: paths, from a block, of the last layers of its residual branches.
        features: type of the layers in blocks whose output is scaled and shifted: convolutions, or the norms
            behind them, which would undo that.
        maps: whether blocks take and return features (B, C, H, W) and nothing else.
    """

    head: tuple[str, ...]
    tail: tuple[str, ...]
    block: type[nn.Module]
    branches: tuple[str, ...]
    features: type[nn.Module] = nn.Conv2d
    maps: bool = True


PLACES: dict[type[nn.Module], Places] = {
    drunet.DRUNet: Places(
        head=("m_head",), tail=("m_tail",), block=drunet.ResidualBlock, branches=("res.2",)
    ),
    edsr.EDSR: Places(head=("head.0",), tail=("tail.1",), block=edsr.ResidualBlock, branches=("body.2",)),
    nafnet.NAFNet: Places(
        head=("intro",), tail=("ending",), block=nafnet.NAFBlock, branches=("conv3", "conv5")
    ),
    stylenet.StyleNet: Places(
        head=(),
        tail=("deconv3.conv2d",),
        block=stylenet.ResidualBlock,
        branches=("in2",),
        features=nn.InstanceNorm2d,
    ),
    swinir.SwinIR: Places(
        head=("conv_first",),
        tail=("conv_last", "upsample.0"),
        block=swinir.ResidualGroup,
        branches=("conv",),
        maps=False,
    ),
}


def find_places(network: nn.Module) -> Places:
    """The places in a network of one of this package's architectures.

    Raises:
        ConversionError: it is of another class.
    """
    for kind, places in PLACES.items():
        if type(network) is kind:
            return places
    known = ", ".join(kind.__name__ for kind in PLACES)
    raise ConversionError(
        f"expected a network of {known}, in which the places of a rival method's layers are known, got "
        f"{type(network).__name__}; method 'tunable' and 'dni' take any network"
    )


def find_first(network: nn.Module, paths: tuple[str, ...], what: str) -> str:
    """The first of these paths that a network has.

    Raises:
        ConversionError: it has none; ``what`` says what was looked for.
    """
    names = dict(network.named_modules())
    for path in paths:
        if path in names:
            return path
    raise ConversionError(f"expected a network with {what}, got {type(network).__name__}, which has none")


def list_blocks(network: nn.Module) -> list[str]:
    """Paths of the residual blocks, in the order in which they are registered."""
    block = find_places(network).block
    return [path for path, module in network.named_modules() if isinstance(module, block)]


def list_map_blocks(network: nn.Module) -> list[str]:
    """Paths of the residual blocks, which take and return features (B, C, H, W).

    Raises:
        ConversionError: those of the network take something else.
    """
    if not find_places(network).maps:
        raise ConversionError(
            f"expected residual blocks on features (B, C, H, W), got {type(network).__name__}, whose blocks "
            "take windows of pixels; use drunet, edsr, nafnet or stylenet"
        )
    return list_blocks(network)


def list_branches(network: nn.Module) -> list[str]:
    """Paths of the last layers of the residual branches."""
    places = find_places(network)
    return [f"{block}.{end}" for block in list_blocks(network) for end in places.branches]


def list_features(network: nn.Module) -> list[str]:
    """Paths of the layers in residual blocks whose output can be scaled and shifted."""
    places = find_places(network)

    def find_inside(block: str) -> Iterator[str]:
        for path, module in network.get_submodule(block).named_modules():
            if isinstance(module, places.features):
                yield f"{block}.{path}"

    return [path for block in list_blocks(network) for path in find_inside(block)]


def count_channels(layer: nn.Module) -> int:
    """How many channels a convolution or a norm puts out."""
    channels = layer.out_channels if isinstance(layer, nn.Conv2d) else layer.num_features
    assert isinstance(channels, int)
    return channels


def count_inputs(block: nn.Module) -> int:
    """How many channels a residual block takes."""
    return next(module.in_channels for module in block.modules() if isinstance(module, nn.Conv2d))


def replace_module(network: nn.Module, path: str, module: nn.Module) -> None:
    """Put a module in the place of the one at a path."""
    owner, _, name = path.rpartition(".")
    network.get_submodule(owner)._modules[name] = module
