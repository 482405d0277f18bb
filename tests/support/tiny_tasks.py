"""Options of every task, made small: few layers of a trunk, small styles."""

from typing import Any

import torch
from pydantic import TypeAdapter

from pipelines.tasks import TASKS, Task, TaskConfig, make_task

SMALL: dict[str, dict[str, Any]] = {
    "super-resolution": {"scale": 2, "trunk": {"layers": ("relu1_1",)}},
    "style-transfer": {
        "style_px": 32,
        "content_layer": "relu1_1",
        "trunk": {"layers": ("relu1_1", "relu1_2")},
    },
}

NAMES = [task.name for task in TASKS]


def tiny_config(name: str, **options: Any) -> TaskConfig:
    adapter: TypeAdapter[TaskConfig] = TypeAdapter(TaskConfig)
    return adapter.validate_python({"name": name, **SMALL.get(name, {}), **options})


def tiny_task(name: str, **options: Any) -> Task:
    return make_task(tiny_config(name, **options)).to(torch.device("cpu"))
