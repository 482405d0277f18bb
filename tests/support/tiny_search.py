"""Parameters of a search that takes seconds."""

from typing import Any

import yaml

from pipelines.paths import Layout

TRAIN: dict[str, Any] = {
    "network": {"architecture": "edsr", "config": {"width": 4, "blocks": 1}},
    "optimizer": {"warmup_steps": 2},
    "sampling": {"group": 2},
    "compute": {"runner": "local"},
    "batch_size": 4,
    "patch_px": 12,
    "log_every": 10,
    "checkpoint_every": 10,
    "steps": 30,
}
SEARCH: dict[str, Any] = {
    "name": "tiny",
    "steps": 20,
    "report_every": 10,
    "measure": {"crop_px": 16, "grid": 2, "steps": 2},
}


def write_search(layout: Layout, train: dict[str, Any] | None = None, **search: Any) -> None:
    """Put them into the work tree, changed by option."""
    sections = {"train": TRAIN | (train or {}), "search": SEARCH | search}
    layout.params.write_text(yaml.safe_dump(sections))
