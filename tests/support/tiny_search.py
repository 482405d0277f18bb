"""A search that takes seconds, and what it leaves."""

import shutil
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import yaml

from pipelines.core.config import load_section
from pipelines.core.layout import Layout
from pipelines.data.photos import write_photos
from pipelines.search.config import SearchConfig
from pipelines.search.search import Search
from pipelines.search.trial import TrialSpec, find_trials
from pipelines.stages.search import run
from pipelines.training.config import TrainConfig

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

DISTRIBUTIONS = [{"family": "uniform"}, {"family": "dirichlet", "alpha": 0.5}]


def make_layout(folder: Path, migrated: Path) -> Layout:
    """What ``prepare`` leaves of a few generated photographs, beside MLflow's database."""
    layout = Layout(folder)
    shutil.copy(migrated, layout.root / "mlflow.db")
    random = np.random.default_rng(0)
    for split in ("train", "validation"):
        photos = [(f"{i}.png", random.integers(0, 256, (20, 24, 3), dtype=np.uint8)) for i in range(2)]
        write_photos(layout.prepare / split, photos)
    return layout


def write_search(layout: Layout, train: dict[str, Any] | None = None, **search: Any) -> None:
    """Put them into the work tree, changed by option."""
    sections = {"train": TRAIN | (train or {}), "search": SEARCH | search}
    layout.params.write_text(yaml.safe_dump(sections))


def search_of(layout: Layout) -> Search:
    """The one that the parameters say now."""
    config = load_section(layout.params, "search", SearchConfig)
    return Search(config=config, base=load_section(layout.params, "train", TrainConfig), layout=layout)


def run_search(layout: Layout, *, adopt: bool = False) -> None:
    """The stage in this process, which spares it half its time: imports."""
    run(load_section(layout.params, "search", SearchConfig), layout, adopt=adopt)


def trials(layout: Layout) -> list[TrialSpec]:
    """Those started so far, in order."""
    return find_trials(layout.state / "search-tiny")


def searched(layout: Layout) -> pd.DataFrame:
    """The table of its trials."""
    return pd.read_parquet(layout.search / "trials.parquet")


def runs(layout: Layout) -> dict[str, Any]:
    """What MLflow has, by name."""
    client = mlflow.MlflowClient(f"sqlite:///{layout.root}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return {run.info.run_name: run for run in client.search_runs(experiments)}
