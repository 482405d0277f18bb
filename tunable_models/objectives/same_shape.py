"""The check that objectives with a target begin with: broadcasting would hide a mistake."""

from torch import Tensor

from tunable_models.errors import TunableError


def check_same_shape(objective: object, output: Tensor, target: Tensor) -> None:
    """Refuse an output and a target that are not batches of one shape.

    Raises:
        TunableError: the shapes differ or have no batch dimension.
    """
    if output.shape != target.shape or output.dim() < 2:
        raise TunableError(
            f"{type(objective).__name__} expected output and target of one shape (B, C, H, W), got "
            f"{tuple(output.shape)} and {tuple(target.shape)}; bring the target to the output's size first"
        )
