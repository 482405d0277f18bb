"""Total variation: Rudin, Osher, Fatemi, Physica D 1992, https://doi.org/10.1016/0167-2789(92)90242-F.

The anisotropic form, abs(dx) + abs(dy): it has no root that needs a constant to be smooth, and its
gradient is finite everywhere. In return it likes edges along the axes a little better than diagonal ones.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from tunable_models.errors import TunableError


@dataclass(frozen=True)
class TotalVariation:
    """How much neighbouring pixels differ; needs no target.

    Example:
        >>> TotalVariation()(torch.tensor([[0.0, 1.0], [0.0, 1.0]]).expand(1, 3, 2, 2))
        tensor([1.])
    """

    blends_targets: ClassVar[bool] = True
    needs_target: ClassVar[bool] = False

    def __call__(self, output: Tensor, target: Tensor | None = None) -> Tensor:
        """(B,) sums of the mean absolute differences across and down.

        Raises:
            TunableError: output is not (B, C, H, W) with H and W at least 2.
        """
        if output.dim() != 4 or min(output.shape[-2:]) < 2:
            raise TunableError(
                f"TotalVariation expected (B, C, H, W) with sides of 2 px at least, got {tuple(output.shape)}"
            )
        across = output.diff(dim=-1).abs().flatten(1).mean(1)
        return across + output.diff(dim=-2).abs().flatten(1).mean(1)
