"""Objectives: what an output should be like, one number a sample. The pixel-wise ones share a file.

``blends_targets`` says whether a weighted sum of an objective over different targets still has its best
output *between* them; :class:`tunable_models.MultiLoss` refuses the combinations that would make a dead
slider. ``needs_target`` is false for objectives of the output alone. Objectives that look through a network
take it as an argument and are modules.

Objectives that options name, such as ``distance`` of a task, are in a registry, to which
:func:`register_objective` and entry points of the group ``tunable_zoo.objectives`` add.
"""

from tunable_models.errors import TunableError
from tunable_models.objectives.adversarial import Adversarial
from tunable_models.objectives.features import Features, Perceptual
from tunable_models.objectives.gram_style import GramStyle, gram
from tunable_models.objectives.objective import Objective
from tunable_models.objectives.pixelwise import (
    L1,
    MSE,
    PSNR,
    RMSE,
    SSIM,
    Charbonnier,
    Frequency,
    TotalVariation,
)
from tunable_models.registry import Registry

__all__ = [
    "L1",
    "MSE",
    "PSNR",
    "RMSE",
    "SSIM",
    "Adversarial",
    "Charbonnier",
    "Features",
    "Frequency",
    "GramStyle",
    "Objective",
    "Perceptual",
    "TotalVariation",
    "get_objective",
    "gram",
    "list_objectives",
    "register_objective",
    "registered_here",
]

GROUP = "tunable_zoo.objectives"


def _check_objective(name: str, item: object) -> Objective:
    made = item() if isinstance(item, type) else item
    flags = [getattr(made, flag, None) for flag in ("needs_target", "blends_targets")]
    if not callable(made) or not all(isinstance(flag, bool) for flag in flags):
        raise TunableError(
            f"expected an objective for {name!r}, a callable with needs_target and blends_targets, got "
            f"{type(made).__name__}"
        )
    return made  # type: ignore[no-any-return]  # a protocol of attributes that were looked at


_REGISTRY: Registry[Objective] = Registry(
    "objective", GROUP, error=TunableError, check=_check_objective, definition=type
)
_BUILTIN: dict[str, Objective] = {"l1": L1(), "charbonnier": Charbonnier(), "mse": MSE(), "rmse": RMSE()}
for _name, _objective in _BUILTIN.items():
    _REGISTRY.add_builtin(_name, _objective)


def register_objective(name: str, objective: Objective | type[Objective]) -> Objective:
    """Add an objective that options can name, such as ``train.task.distance``.

    Args:
        name: in options.
        objective: one, or a class that needs no arguments.

    Returns:
        The objective.

    Raises:
        TunableError: another objective has that name, or it is none.

    Example:
        >>> class Peak:
        ...     "The largest error of a sample."
        ...     blends_targets, needs_target = False, True
        ...     def __call__(self, output, target):
        ...         return (output - target).abs().flatten(1).amax(1)
        >>> _ = register_objective("peak", Peak)
        >>> get_objective("peak")(torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4))
        tensor([1., 1.])
    """
    return _REGISTRY.register(name, objective)


def registered_here(name: str) -> Objective | None:
    """The objective if a call in this process registered it; None if every process knows it."""
    return _REGISTRY.registered(name)


def get_objective(name: str) -> Objective:
    """The registered objective of that name.

    Raises:
        TunableError: there is none, or its package cannot be loaded.

    Example:
        >>> type(get_objective("l1")).__name__
        'L1'
    """
    return _REGISTRY.get(name)


def list_objectives() -> list[str]:
    """Names of the registered objectives, those of this package first.

    Example:
        >>> list_objectives()[:4]
        ['l1', 'charbonnier', 'mse', 'rmse']
    """
    return _REGISTRY.names()
