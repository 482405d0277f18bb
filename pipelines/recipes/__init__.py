"""Recipes: a complete ``params.yaml`` for every task, by the cost of its training.

The file of a budget is a template for its recipes; the file of a task fills it for each budget that the task
has a recipe for.
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
    """A ``params.yaml`` that trains a task within a budget, evaluates and publishes it.

    Raises:
        ConfigError: an unknown task or budget, or a budget that the task has no recipe for; the message
            lists the valid ones.
    """
    if task not in TASKS:
        raise ConfigError(f"unknown task {task!r}{suggest_name(task, TASKS)}")
    if budget not in BUDGETS:
        raise ConfigError(f"unknown budget {budget!r}{suggest_name(budget, BUDGETS)}")
    parts = yaml.safe_load(_read_part(task))
    if budget not in parts:
        budgets = ", ".join(find_budgets(task))
        raise ConfigError(f"no recipe of {task} for budget {budget!r}; expected {budgets}")
    own = parts[budget]
    return Template(_read_part(budget)).substitute(
        name=task,
        title=parts["title"],
        note=own.get("note", ""),
        train=indent(own["train"], "  ").rstrip(),
        evaluate=indent(own["evaluate"], "  ").rstrip(),
    )


def find_budgets(task: str) -> tuple[str, ...]:
    """The budgets that a task of :data:`TASKS` has a recipe for, cheapest first."""
    parts = yaml.safe_load(_read_part(task))
    return tuple(budget for budget in BUDGETS if budget in parts)


def _read_part(name: str) -> str:
    return files(__package__).joinpath(f"{name}.yaml").read_text(encoding="utf-8")
