"""The whole road by ``dvc repro``, on a copy of the repository and four generated photographs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

import zoo

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
TITLE = "The loss in training, and on the validation photographs"
COPIED = ("tunable_models", "zoo", "pipelines", "dvc.yaml", ".dvcignore", ".gitignore", "params.yaml")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("road")
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tree / name)
    photos = tree / "data" / "photos"
    photos.mkdir(parents=True)
    random = np.random.default_rng(0)
    for index in range(4):
        coarse = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((64, 48), Image.Resampling.BICUBIC).save(photos / f"{index}.png")
    for command in (["git", "init", "--quiet"], [sys.executable, "-m", "dvc", "init", "--quiet"]):
        subprocess.run(command, cwd=tree, check=True)
    shutil.copytree(ROOT / ".dvc" / "plots", tree / ".dvc" / "plots", dirs_exist_ok=True)
    return tree


def options(tree: Path, **changes: dict[str, Any]) -> None:
    """Small options, with changes by section."""
    values: dict[str, dict[str, Any]] = {
        "prepare": {
            "source": "data/photos",
            "test_photos": 1,
            "validation_photos": 1,
            "min_side_px": 32,
            "license": "CC0-1.0",
        },
        "train": {
            "network": {"config": {"width": 4, "blocks": 1}},
            "compute": {"runner": "local", "threads": 1},
            "steps": 4,
            "batch_size": 4,
            "patch_px": 16,
            "log_every": 2,
            "validation": {"every": 2, "crop_px": 16},
            "checkpoint_every": 2,
        },
        "evaluate": {"steps": 3, "grid": 2, "threads": 1, "picture": {"crop_px": 16, "values": 2}},
        "publish": {"name": "tiny"},
        "serve": {"port": 8000},
    }
    for section, change in changes.items():
        values[section] |= change
    (tree / "params.yaml").write_text(yaml.safe_dump(values))


def call(tree: Path, *arguments: str) -> str:
    """What dvc prints."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    command = [sys.executable, "-m", "dvc", *arguments]
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def repro(tree: Path, *flags: str) -> list[str]:
    """The stages that ran; with ``--dry`` those that would, of which DVC sees what follows only by force."""
    said = call(tree, "repro", *flags)
    return [line.split("'")[1] for line in said.splitlines() if line.startswith("Running stage")]


def receipt(tree: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((tree / "artifacts" / "publish" / "receipt.json").read_text())
    return value


def test_photographs_in_a_slider_out(tree: Path) -> None:
    options(tree)
    assert repro(tree) == ["prepare", "train", "evaluate", "publish"]
    first = receipt(tree)
    store = zoo.Store(tree / "zoo-store")
    model = zoo.load("tiny", stores=[store])
    assert model.version == first["version"]
    assert model(Image.new("RGB", (31, 17)), denoise=0.5).size == (31, 17)
    assert json.loads((tree / "artifacts" / "evaluate" / "summary.json").read_text())["photographs"] == 1
    [shown] = json.loads(call(tree, "metrics", "show", "--json")).values()
    assert {path: set(held["data"]) for path, held in shown["data"].items()} == {
        "metrics/metrics.json": {"test"},
        "metrics/train.json": {"train", "validation"},
    }
    plots = json.loads(call(tree, "plots", "show", "--json"))["data"]
    assert {
        "PSNR on the validation photographs",
        "The loss in training, and on the validation photographs",
    } <= {name.removeprefix("dvc.yaml::") for name, drawn in plots.items() if drawn}

    options(tree, serve={"port": 9000})
    (tree / "pipelines" / "serve" / "app.py").write_text("# another server\n")
    assert repro(tree, "--dry", "--force-downstream") == []

    options(tree, evaluate={"seed": 1})
    assert repro(tree) == ["evaluate", "publish"]
    second = receipt(tree)
    assert second["version"] != first["version"]
    assert set(store.versions("tiny")) == {first["version"], second["version"]}
    assert zoo.load("tiny", stores=[store]).version == second["version"]

    options(tree, evaluate={"seed": 1}, train={"seed": 1})
    assert repro(tree, "--dry", "--force-downstream") == ["train", "evaluate", "publish"]

    status = ["git", "status", "--porcelain", "--untracked-files=all"]
    tracked = subprocess.run(["git", "add", "--all"], cwd=tree, check=True)
    assert tracked.returncode == 0
    listed = subprocess.run(status, cwd=tree, capture_output=True, text=True, check=True).stdout
    made = {line.split()[-1] for line in listed.splitlines()}
    assert not [path for path in made if path.startswith(("artifacts", "zoo-store", ".state", "ml"))]
    assert {"dvc.lock", "metrics/metrics.json", "metrics/train.json"} <= made
