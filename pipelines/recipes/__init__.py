"""Recipes: a whole ``params.yaml`` for every task, by what the training may cost.

A budget's file holds what its recipes share; a task's file, what it trains and evaluates within each
budget that it has a recipe for.
"""

from importlib.resources import files
from string import Template
from textwrap import indent

import yaml

from pipelines.core.errors import ConfigError, suggest_name

TASKS = (
    "noise-level",
    "denoise-strength",
    "denoise-deblur",
    "super-resolution",
    "style-transfer",
    "real-world",
    "three-objectives",
)

BUDGETS = ("minutes", "cpu-hours", "gpu-half-hour", "gpu-days")
"""``minutes`` and ``cpu-hours`` are of two CPU cores, the others of one large GPU."""


def make_recipe(task: str, budget: str = "minutes") -> str:
    """The text of a ``params.yaml`` that trains a task within a budget, evaluates and publishes it.

    Raises:
        ConfigError: an unknown task or budget, or a budget that the task has no recipe for; the message
            lists those there are.
    """
    if task not in TASKS:
        raise ConfigError(f"unknown task {task!r}{suggest_name(task, TASKS)}")
    if budget not in BUDGETS:
        raise ConfigError(f"unknown budget {budget!r}{suggest_name(budget, BUDGETS)}")
    parts = yaml.safe_load(_read(task))
    if budget not in parts:
        raise ConfigError(f"no recipe of {task} for {budget}; it has {', '.join(find_budgets(task))}")
    own = parts[budget]
    return Template(_read(budget)).substitute(
        name=task,
        title=parts["title"],
        note=own.get("note", ""),
        train=indent(own["train"], "  ").rstrip(),
        evaluate=indent(own["evaluate"], "  ").rstrip(),
    )


def find_budgets(task: str) -> tuple[str, ...]:
    """The budgets that a task of :data:`TASKS` has a recipe for, cheapest first."""
    parts = yaml.safe_load(_read(task))
    return tuple(budget for budget in BUDGETS if budget in parts)


def _read(name: str) -> str:
    return files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
