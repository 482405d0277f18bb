"""GPUs: torch sees as many as are asked for, and they can do what is asked of them."""

import os

import torch

from pipelines.doctor.finding import About, Finding
from pipelines.doctor.sizes import size

ABOUT = About("gpus")
VISIBLE = "CUDA_VISIBLE_DEVICES"


def gpus(asked: int, why: str) -> list[Finding]:
    """The GPUs of this machine against those that are asked for.

    Args:
        asked: how many; 0 for none.
        why: the option that asks, first of its words.
    """
    have = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if have < asked:
        return [ABOUT.fault(f"{why}: {asked} asked for, torch sees {have}; {_reason()}", _remedy(why))]
    if have == 0:
        return [ABOUT.ok("none is asked for, and torch sees none")]
    unused = [] if asked else [ABOUT.ok("none is asked for: train.compute.use_gpu is false")]
    return [*unused, *(ABOUT.ok(_device(index)) for index in range(have))]


def _device(index: int) -> str:
    free, total = torch.cuda.mem_get_info(index)
    major, minor = torch.cuda.get_device_capability(index)
    name = torch.cuda.get_device_name(index)
    return f"{name}, capability {major}.{minor}, {size(free)} of {size(total)} free"


def _reason() -> str:
    visible = os.environ.get(VISIBLE)
    if torch.version.cuda is None and torch.version.hip is None:
        return "this torch is built for the CPU alone"
    if visible is not None:
        return f"{VISIBLE} is {visible!r}"
    return "is the driver there? nvidia-smi says"


def _remedy(why: str) -> str:
    return f"set {VISIBLE}, install the driver, or ask for fewer: {why.split()[0]}"
