"""Choose the engine that computes a network; torch is one of them."""

import logging
import os
from contextlib import AbstractContextManager, nullcontext
from functools import cache, lru_cache
from importlib.util import find_spec
from typing import Any, Literal, Protocol, get_args

import torch
from torch import Tensor

from tunable_models import TunableNetwork, View
from zoo.errors import EngineError
from zoo.manifest import Manifest
from zoo.tiling import Network

EngineName = Literal["auto", "onnx", "torch"]
Precision = Literal["float32", "bfloat16", "float16"]
Omega = tuple[float, ...]

ENGINE_VARIABLE = "TUNABLE_ZOO_ENGINE"
NEEDED = ("onnxruntime", "onnx", "onnxscript")
"""Modules that the extra ``fast`` brings: one runs the graph, the others make it."""

CACHED_VIEWS = 8
"""Mixed kernels are kept for this many settings: a slider at rest costs no mixing."""

_log = logging.getLogger(__name__)


class Engine(Protocol):
    """What computes a network; threads may share it."""

    @property
    def name(self) -> Literal["onnx", "torch"]:
        """What computes."""

    def at(self, omega: Omega) -> Network:
        """The network at one setting, each value in [0, 1]; the last ones are kept."""

    def release_memory(self) -> None:
        """Give back what is kept for features of the next picture."""


class TorchEngine:
    """Any device and any network: kernels in channels_last, which torch's convolutions are faster with.

    Args:
        network: it is moved to the device, and its kernels into that layout, in place.
        device: where to compute.
        precision: of convolutions and matrix products; what is added to the picture stays float32.

    Raises:
        EngineError: torch does not compute in that precision on the device.
    """

    name: Literal["torch"] = "torch"

    def __init__(
        self, network: TunableNetwork, device: torch.device, precision: Precision = "float32"
    ) -> None:
        self._device, self._dtype = device, _check_precision(precision, device)
        self._network = network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._view = lru_cache(CACHED_VIEWS)(self._mix)

    def at(self, omega: Omega) -> Network:
        """The network at one setting, (B, 3, H, W) to (B, 3, s*H, s*W)."""
        view = self._view(omega)

        def run(batch: Tensor) -> Tensor:
            try:
                with _autocast(self._device, self._dtype):
                    output: Tensor = view(batch.to(memory_format=torch.channels_last))
            except RuntimeError as error:
                if "memory" not in str(error):  # on the CPU it has no type of its own
                    raise
                raise EngineError(_explain_memory(batch, error)) from error
            return output.float().contiguous()

        return run

    def release_memory(self) -> None:
        """Nothing: on the CPU torch keeps no memory for features."""

    def __getstate__(self) -> dict[str, Any]:
        """All but the views, which are the network's of this one."""
        return {name: value for name, value in self.__dict__.items() if name != "_view"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy has views of its own network."""
        self.__dict__.update(state)
        self._view = lru_cache(CACHED_VIEWS)(self._mix)

    def _mix(self, omega: Omega) -> View:
        network: TunableNetwork = self._network
        return network.at(torch.tensor(omega, device=network.device))


def make_engine(
    asked: EngineName,
    network: TunableNetwork,
    manifest: Manifest,
    device: torch.device,
    precision: Precision = "float32",
) -> Engine:
    """The engine for a network on a device.

    ``auto`` is ONNX Runtime on the CPU where it is installed, torch everywhere else, and what the variable
    ``TUNABLE_ZOO_ENGINE`` says where that is set. Precisions other than float32 are torch's alone.

    Args:
        asked: ``auto``, ``onnx`` or ``torch``.
        network: frozen, in evaluation mode, on any device.
        manifest: of its entry.
        device: where it is to compute.
        precision: ``float32``, ``bfloat16`` or ``float16``.

    Raises:
        EngineError: another name; a precision that the engine or the device has not; or ``onnx`` was
            requested by name and is not installed, or cannot run this network or device. ``auto`` logs why
            it is torch instead.
    """
    chosen = _resolve_name(asked)
    if precision not in get_args(Precision):
        raise EngineError(f"expected precision float32, bfloat16 or float16, got {precision!r}")
    if chosen == "torch" or (chosen == "auto" and (device.type != "cpu" or precision != "float32")):
        return TorchEngine(network, device, precision)
    if precision != "float32":
        raise EngineError(f"the onnx engine computes in float32, got {precision}; say engine='torch'")
    label = f"{manifest.name}@{manifest.version}"
    if device.type != "cpu":
        raise EngineError(f"the onnx engine computes on the CPU, got device {device}; say engine='torch'")
    if missing := [module for module in NEEDED if find_spec(module) is None]:
        sentence = f"the onnx engine needs {', '.join(missing)}: pip install 'tunable-zoo[fast]'"
        if chosen == "onnx":
            raise EngineError(sentence)
        _warn_once(f"torch computes, several times slower than it could be: {sentence}")
        return TorchEngine(network, device)
    try:
        from zoo.engine.on_onnx import OnnxEngine

        return OnnxEngine(network.to(device), manifest)
    except (EngineError, ImportError) as error:
        if chosen == "onnx":
            raise EngineError(f"{label} cannot run on onnx: {error}; engine='torch' can") from error
        _log.warning("%s runs on torch, several times slower than on onnx: %s", label, error)
        return TorchEngine(network, device)


def _resolve_name(asked: str) -> str:
    """The requested engine, or for ``auto`` that of the environment."""
    chosen = os.environ.get(ENGINE_VARIABLE, asked) if asked == "auto" else asked
    if chosen not in get_args(EngineName):
        source = f"{ENGINE_VARIABLE}=" if chosen != asked else "engine "
        raise EngineError(f"expected {source}auto, onnx or torch, got {chosen!r}")
    return chosen


def _check_precision(precision: Precision, device: torch.device) -> torch.dtype:
    """The type of that name, if torch computes in it on the device: a small convolution says so."""
    dtype: torch.dtype = getattr(torch, precision)
    if dtype != torch.float32:
        try:
            with torch.no_grad(), _autocast(device, dtype):
                ones = torch.ones(1, 1, 3, 3, device=device)
                found = torch.conv2d(ones, ones).dtype
        except RuntimeError as error:
            reason = str(error).partition("\n")[0]
            raise EngineError(f"torch has no {precision} on {device}: {reason}; say float32") from error
        if found != dtype:
            raise EngineError(f"torch has no {precision} on {device}, it computes in {found}; say float32")
    return dtype


def _explain_memory(batch: Tensor, error: RuntimeError) -> str:
    size = " x ".join(map(str, batch.shape[:1:-1]))
    reason = str(error).partition("\n")[0]
    return f"torch has no memory for {size} pixels at once: {reason}; take smaller tiles or a smaller picture"


def _autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[None]:
    """Autocast, which keeps sensitive operators in float32; nothing for float32."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


@cache
def _warn_once(sentence: str) -> None:
    _log.warning("%s", sentence)
