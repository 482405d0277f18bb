"""Copying a source, so that it stays as it is."""

import copy

from torch import Tensor, nn

from tunable_models.errors import ConversionError


def copy_module(module: nn.Module) -> nn.Module:
    """A deep copy.

    Raises:
        ConversionError: whatever an attribute's own copying raises, with the cure where there is one.
    """
    try:
        return copy.deepcopy(module)
    except Exception as error:
        left = _left_by_a_call(module)
        cure = "set it to None, or call the module once under torch.no_grad()"
        reason = f"{left} is a tensor that an earlier call computed; {cure}" if left else str(error)
        kind = type(module).__name__
        raise ConversionError(f"cannot copy {kind}, as a tunable network must: {reason}") from error


def _left_by_a_call(module: nn.Module) -> str:
    for path, child in module.named_modules():
        for name, value in (child.__dict__ | child._buffers).items():
            if isinstance(value, Tensor) and not value.is_leaf:
                return f"{path}.{name}" if path else name
    return ""
