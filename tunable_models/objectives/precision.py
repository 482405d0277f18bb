"""Sums in full precision, where autocast or a half-precision network hands over halves."""

import torch
from torch import Tensor


def at_least_float32(values: Tensor) -> Tensor:
    """Halves as float32; everything else as it is."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values
