"""One setting for the whole training: a specialist, which a tunable network is measured against."""

from collections.abc import Sequence

from torch import Tensor

from tunable_models.controls import ControlSpace
from tunable_models.errors import OmegaError
from tunable_models.sampling.sampler import check_step


class Fixed:
    """The same omega at every step.

    Args:
        space: where it lies.
        omega: (P,), see :meth:`~tunable_models.controls.ControlSpace.omega`.

    Raises:
        OmegaError: it is no single omega of the space.

    Example:
        >>> from tunable_models import ControlSpace, Fixed
        >>> space = ControlSpace.box("denoise", "deblur")
        >>> Fixed(space, space.omega(denoise=1, deblur=0))(seed=0, step=5, indices=range(2))
        tensor([[1., 0.],
                [1., 0.]])
    """

    def __init__(self, space: ControlSpace, omega: Tensor) -> None:
        space.check(omega)
        if omega.dim() != 1:
            raise OmegaError(f"expected one omega of shape ({len(space)},), got {tuple(omega.shape)}")
        self.space = space
        self.omega = omega.detach().float().cpu()

    def __call__(self, seed: int, step: int, indices: Sequence[int]) -> Tensor:
        """(n, P) omegas; see :class:`~tunable_models.sampling.sampler.Sampler`."""
        check_step(step)
        return self.omega.repeat(len(indices), 1)
