"""What the options of a run name that is not of this package: its code, and how workers get it.

Entry points are found by every process. What a call registered in this process travels with the job.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Self

from pipelines import tasks
from pipelines.running.user_code import OURS, CodeWalker
from pipelines.tasks import GivenTask, Task
from pipelines.training.config import TrainConfig
from pipelines.training.given_network import GivenNetwork
from tunable_models import (
    Architecture,
    Objective,
    architectures,
    get_architecture,
    get_objective,
    objectives,
    register_architecture,
    register_objective,
)


@dataclass(frozen=True, kw_only=True)
class Registrations:
    """What calls in the driver's process registered, of what a run uses; picklable by Ray."""

    task: type[Task] | None = None
    architecture: Architecture | None = None
    objective: tuple[str, Objective] | None = None

    @classmethod
    def of(cls, config: TrainConfig) -> Self:
        """Those that the options name."""
        names = _find_names(config)
        objective = objectives.registered_here(names["objective"]) if "objective" in names else None
        return cls(
            task=tasks.registered_here(names["task"]) if "task" in names else None,
            architecture=(
                architectures.registered_here(names["architecture"]) if "architecture" in names else None
            ),
            objective=None if objective is None else (names["objective"], objective),
        )

    def apply(self) -> None:
        """Register them in this process."""
        if self.task is not None:
            tasks.register_task(self.task)
        if self.architecture is not None:
            register_architecture(self.architecture)
        if self.objective is not None:
            register_objective(*self.objective)

    @property
    def definitions(self) -> list[Any]:
        """The objects themselves."""
        return [item for item in (self.task, self.architecture, self.objective) if item is not None]


def digest_plugins(config: TrainConfig) -> dict[str, str]:
    """SHA-256 of the code that the options name or hold and this package does not have, by file or by role.

    Empty for options that name nothing of others, and so is what it adds to the run's fingerprint.
    """
    given = {
        f"{role} {name}": item.code
        for role, name, item in (
            ("task", config.task.name, config.task),
            ("network", config.network.architecture, config.network),
        )
        if isinstance(item, (GivenTask, GivenNetwork))
    }
    named = _find_definitions(config)
    walker = CodeWalker({str(item.__module__).partition(".")[0] for item in named.values()})
    roles = {f"plug-in {role}": _sha256(walker.describe(item)) for role, item in named.items()}
    return {**given, **roles, **walker.files}


def list_user_modules(config: TrainConfig, registrations: Registrations) -> tuple[str, ...]:
    """Modules that workers may not have: those of what was given or registered by a call, uninstalled."""
    walker = CodeWalker()
    given = [*registrations.definitions]
    if isinstance(config.task, GivenTask):
        given.append(config.task.make())
    if isinstance(config.network, GivenNetwork):
        given.append(config.network.classes())
    walker.describe(given)
    return tuple(sorted(walker.modules))


def is_portable(config: TrainConfig) -> bool:
    """Whether a file can hold the options: they name a task and a network, rather than being given some."""
    return not (isinstance(config.task, GivenTask) or isinstance(config.network, GivenNetwork))


def _find_names(config: TrainConfig) -> dict[str, str]:
    """Names in the registries, by role."""
    names: dict[str, str] = {}
    if not isinstance(config.task, GivenTask):
        names["task"] = config.task.name
        if isinstance(distance := getattr(config.task, "distance", None), str):
            names["objective"] = distance
    if not isinstance(config.network, GivenNetwork):
        names["architecture"] = config.network.architecture
    return names


def _find_definitions(config: TrainConfig) -> dict[str, Any]:
    """Classes of others that the names stand for, by role and name."""
    names = _find_names(config)
    found: dict[str, Any] = {}
    if "task" in names:
        found[f"task {names['task']}"] = tasks.get_task(names["task"])
    if "objective" in names:
        found[f"objective {names['objective']}"] = type(get_objective(names["objective"]))
    if "architecture" in names:
        found[f"architecture {names['architecture']}"] = get_architecture(names["architecture"]).network
    return {role: item for role, item in found.items() if str(item.__module__).partition(".")[0] not in OURS}


def _sha256(described: Any) -> str:
    return hashlib.sha256(json.dumps(described).encode()).hexdigest()
