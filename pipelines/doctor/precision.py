"""Precision of training against what the hardware computes in."""

import torch

from pipelines.doctor.finding import About, Finding
from pipelines.training.config import TrainConfig
from pipelines.training.forward import suggest_precision

ABOUT = About("precision")


def precision(config: TrainConfig) -> list[Finding]:
    """Whether the GPU computes in the run's precision itself, and the CPU in no faster one."""
    if config.compute.use_gpu and config.precision == "bfloat16" and _is_emulated():
        message = f"{torch.cuda.get_device_name(0)} has no bfloat16 of its own, and imitates it slowly"
        return [ABOUT.warning(message, "set train.precision to float16 or float32")]
    if suggestion := suggest_precision(config):
        return [ABOUT.warning(*suggestion)]
    return [ABOUT.ok(f"training in {config.precision}")]


def _is_emulated() -> bool:
    return torch.cuda.is_available() and not torch.cuda.is_bf16_supported(including_emulation=False)
