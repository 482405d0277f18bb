"""Other projects' checkpoints, through spandrel: the one module that imports it.

spandrel recognizes an architecture by the names and shapes of a checkpoint's tensors. What it loads is a
plain network, ready for ``make_tunable(..., train="deltas")``. The other way round, the file of one of our
networks folded at one setting is a checkpoint that spandrel, and what is built on it, can load.

A DRUNet from there takes the noise map as a fourth channel of its input; ``build("drunet", "color",
noise_map=...)`` loads the same tensors and appends the map itself.
"""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save
from torch import nn

from pipelines.core.errors import DataError, PipelineError

SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")
"""Files that spandrel reads; pickles with a restricted unpickler."""

READS = ("nafnet", "swinir")
"""Architectures of ours whose folded files it reads, with equal output where neither has to pad."""

_JPEG_WINDOW, _JPEG_RANGE = 7, 255.0


@dataclass(frozen=True)
class Foreign:
    """A network that spandrel recognized.

    Attributes:
        network: plain, in evaluation mode, on the CPU.
        architecture: spandrel's name of it.
        purpose: such as ``Restoration`` or ``SR``.
        scale: output side over input side.
        input_channels: of the picture.
        output_channels: of the result.
        multiple: sides of the picture must be multiples of this, in pixels; spandrel's own caller pads.
    """

    network: nn.Module
    architecture: str
    purpose: str
    scale: int
    input_channels: int
    output_channels: int
    multiple: int


def load_foreign(path: Path) -> Foreign:
    """The network in another project's checkpoint.

    Raises:
        PipelineError: the extra ``spandrel`` is not installed.
        DataError: no such file, not a checkpoint, or of an architecture that spandrel does not know.
    """
    loader, unsupported, image_kind = _import_spandrel()
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(
            f"{path}: expected a file of {', '.join(SUFFIXES)}, got {path.suffix or 'no suffix'!r}"
        )
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    try:
        found = loader.load_from_file(path)
    except unsupported as error:
        raise DataError(f"{path}: spandrel knows no architecture with these tensors") from error
    except (RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError, SafetensorError) as error:
        raise DataError(f"{path}: not a readable checkpoint: {error}") from error
    if not isinstance(found, image_kind):
        raise DataError(f"{path}: expected a network from image to image, got {found.architecture.name}")
    return Foreign(
        network=found.model.eval(),
        architecture=found.architecture.id,
        purpose=found.purpose,
        scale=found.scale,
        input_channels=found.input_channels,
        output_channels=found.output_channels,
        multiple=found.size_requirements.multiple_of,
    )


def encode_for_spandrel(plain: nn.Module, architecture: str) -> bytes:
    """A folded network as the bytes of a ``.safetensors`` file that spandrel loads.

    Raises:
        DataError: spandrel does not know the architecture, or would guess its range wrongly.
    """
    if architecture not in READS:
        raise DataError(
            f"spandrel reads {' and '.join(READS)} of ours, not {architecture}; export ONNX instead"
        )
    _refuse_wrong_guess(architecture, plain)
    return save({name: tensor.contiguous().clone() for name, tensor in plain.state_dict().items()})


def _refuse_wrong_guess(architecture: str, plain: Any) -> None:
    """Refuse what it misreads: it takes a SwinIR with a window of 7 for one for JPEG, of another range."""
    if architecture != "swinir":
        return
    window, own = int(plain.alignment), float(plain.img_range)
    guess = _JPEG_RANGE if window == _JPEG_WINDOW else 1.0
    if own != guess:
        raise DataError(
            f"spandrel takes a SwinIR with a window of {window} for one with img_range {guess:g}, "
            f"this one has {own:g}; export ONNX instead"
        )


def _import_spandrel() -> tuple[Any, type[Exception], type[Any]]:
    try:
        import spandrel
    except ImportError as error:
        raise PipelineError("this needs spandrel: pip install 'tunable-zoo[spandrel]'") from error
    return spandrel.ModelLoader(), spandrel.UnsupportedModelError, spandrel.ImageModelDescriptor
