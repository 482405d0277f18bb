"""What a measurement ran on."""

import os
import platform
from pathlib import Path
from typing import Any

import torch


def machine(device: torch.device) -> dict[str, Any]:
    """Processor, cores and, where one is used, the GPU."""
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {"processor": gpu or _processor(), "cpu": _processor(), "gpu": gpu, "cores": os.cpu_count()}


def versions(device: torch.device) -> dict[str, str]:
    """Of what decides the speed."""
    found = {"python": platform.python_version(), "torch": torch.__version__}
    if device.type == "cuda":
        found |= {"CUDA": str(torch.version.cuda), "cuDNN": str(torch.backends.cudnn.version())}  # type: ignore[no-untyped-call]
    return found


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if listing.exists():
        for line in listing.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
