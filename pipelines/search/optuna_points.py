"""Points that Optuna proposes from what earlier ones scored: the extra ``search``.

One objective is searched by TPE (Bergstra et al. 2011, https://papers.nips.cc/paper/4443), several by
multi-objective TPE or NSGA-II (Deb et al. 2002, https://doi.org/10.1109/4235.996017), as Optuna has them.
"""

from collections.abc import Sequence
from typing import Any, Literal

from ray.tune.search import Searcher

from pipelines.core.errors import ConfigError
from pipelines.search.axes import Numbers, Value
from pipelines.search.space import Axis
from pipelines.search.trial_record import Objective, Point

Sampler = Literal["tpe", "nsga2"]


def optuna_searcher(
    axes: Sequence[Axis],
    objectives: Sequence[Objective],
    known: Sequence[Point],
    *,
    sampler: Sampler,
    seed: int,
) -> Searcher:
    """A searcher that proposes points of these axes.

    Args:
        axes: a distribution before its own options.
        objectives: what trials report.
        known: points that are proposed first, in that order: those of a search that goes on.
        sampler: which of Optuna's.
        seed: of the sampler.

    Raises:
        ConfigError: Optuna is not installed.
    """
    try:
        import optuna
        from ray.tune.search.optuna import OptunaSearch
    except ImportError as error:
        raise ConfigError(
            "search.algorithm optuna needs the package optuna: pip install 'tunable-zoo[search]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    kinds = {"tpe": optuna.samplers.TPESampler, "nsga2": optuna.samplers.NSGAIISampler}
    names: list[str] = [o.name for o in objectives]
    modes: list[str] = [o.mode for o in objectives]
    return OptunaSearch(
        space=lambda trial: _suggest(axes, trial),
        metric=names if len(names) > 1 else names[0],
        mode=modes if len(modes) > 1 else modes[0],
        points_to_evaluate=[dict(point) for point in known],
        sampler=kinds[sampler](seed=seed),
    )


def _suggest(axes: Sequence[Axis], trial: Any) -> None:
    point: dict[str, Value] = {}
    for axis in axes:
        if axis.applies(point):
            point[axis.name] = _value(axis, trial)


def _value(axis: Axis, trial: Any) -> Value:
    domain, name = axis.domain, axis.name
    value: Value
    if domain.values or not isinstance(domain, Numbers):
        value = trial.suggest_categorical(name, list(domain.values))
    else:
        low, high = domain.ends
        suggest = trial.suggest_int if isinstance(low, int) else trial.suggest_float
        value = suggest(name, low, high, log=domain.log)
    return value
