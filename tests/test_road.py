"""The whole road by ``dvc repro``, on a copy of the repository and four generated photographs."""

import csv
import io
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
from pipelines.core.layout import Layout
from pipelines.publish.receipt import WorkTreeStore

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
IDENTITY = ("-c", "user.name=a", "-c", "user.email=a@b")
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
            "optimizer": {"lr": 0.001},
        },
        "evaluate": {"steps": 3, "grid": 2, "threads": 1, "picture": {"crop_px": 16, "values": 2}},
        "publish": {"name": "tiny"},
        "serve": {"port": 8000},
    }
    for section, change in changes.items():
        values[section] |= change
    (tree / "params.yaml").write_text(yaml.safe_dump(values))


def call(tree: Path, *command: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """A command of this environment, in the tree; by its exit code."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done


def repro(tree: Path, *flags: str) -> list[str]:
    """The stages that ran; with ``--dry`` those that would, of which DVC sees what follows only by force."""
    said = call(tree, "dvc", "repro", *flags).stdout
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
    [shown] = json.loads(call(tree, "dvc", "metrics", "show", "--json").stdout).values()
    assert {path: set(held["data"]) for path, held in shown["data"].items()} == {
        "metrics/metrics.json": {"test"},
        "metrics/train.json": {"train", "validation"},
    }
    plots = json.loads(call(tree, "dvc", "plots", "show", "--json").stdout)["data"]
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


def commit(tree: Path) -> None:
    call(tree, "git", "add", "--all")
    call(tree, "git", *IDENTITY, "commit", "--quiet", "--message", "next")


def version(tree: Path) -> str:
    """The version that the command takes for the name alone."""
    store = WorkTreeStore(Layout(tree).store, Layout(tree).receipt)
    return zoo.resolve("tiny", stores=[store]).version


def test_a_team_shares_what_was_trained(tree: Path, tmp_path: Path) -> None:
    options(tree, train={"seed": 2})
    repro(tree)
    call(tree, "dvc", "remote", "add", "--force", "--default", "team", str(tmp_path / "remote"))
    call(tree, "dvc", "push", "--quiet")
    commit(tree)
    clone = tmp_path / "clone"
    call(tree, "git", "clone", "--quiet", str(tree), str(clone))
    for name in ("user.name", "user.email"):
        call(clone, "git", "config", name, "a")
    for quiet in ("pull", "checkout"):
        assert call(clone, "dvc", quiet, "--quiet").stderr == ""
    assert "up to date" in call(clone, "dvc", "status").stdout

    # The receipt came along, and the entry did not: it is made again, and nothing is trained.
    published = receipt(tree)["version"]
    said = call(clone, "tunable", "zoo", "show", "tiny", code=1).stderr
    assert published in said
    assert "tunable run publish" in said
    call(clone, "tunable", "run", "publish")
    assert version(clone) == published
    loop = clone / "pipelines" / "training" / "loop.py"
    loop.write_text(loop.read_text() + "# a comment\n")
    said = call(clone, "dvc", "repro").stdout
    assert said.count("Running stage") == 1
    assert "nothing to train" in said
    assert repro(clone) == []

    # An experiment elsewhere publishes into the same store, and changes nothing here until it is applied.
    commit(clone)
    call(
        clone, "dvc", "exp", "run", "--quiet", "--temp", "--name", "slow", "-S", "train.optimizer.lr=0.00001"
    )
    assert len(zoo.Store(clone / "zoo-store").versions("tiny")) == 2
    assert version(clone) == receipt(clone)["version"] == published
    only = ["--only-changed", "--drop", "artifacts|pipelines|tunable_models|zoo"]
    [head, *rows] = csv.reader(io.StringIO(call(clone, "dvc", "exp", "show", "--csv", *only).stdout))
    assert {"train.loss", "validation.loss", "test.psnr", "train.optimizer.lr"} <= set(head)
    assert len(head) < 20
    assert [row[head.index("Experiment")] for row in rows if row[head.index("Experiment")]] == ["slow"]
    call(clone, "dvc", "exp", "apply", "--quiet", "slow")
    record = json.loads((clone / "artifacts" / "train" / "record.json").read_text())
    assert record["options"]["optimizer"]["lr"] == 1e-5
    assert version(clone) == receipt(clone)["version"] != published
    assert repro(clone) == []
    call(clone, "git", "checkout", "--quiet", ".")
    call(clone, "dvc", "checkout", "--quiet")
    assert version(clone) == published
