"""Pictures as a person sees them.

One rule for every comparison: outputs, inputs and targets are clamped to [0, 1] first, also the noisy
targets, whose noise is not clipped when it is added.
"""

from torch import Tensor
from torch.nn import functional

from pipelines.tasks import Example


def shown(example: Example) -> Example:
    """The example as a person sees it: every picture within [0, 1]."""
    targets = {name: target.clamp(0, 1) for name, target in example.targets.items()}
    return Example(example.inputs.clamp(0, 1), targets)


def enlarged(inputs: Tensor, like: Tensor) -> Tensor:
    """Inputs in the size of an output: the bicubic picture that a viewer shows without a network."""
    if inputs.shape == like.shape:
        return inputs
    return functional.interpolate(inputs, size=like.shape[-2:], mode="bicubic", align_corners=False)
