"""The package that the manual shows: installed, it trains, is published, applied and served."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import yaml
from PIL import Image

from waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.server]

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r'^```\w+ title="(.*?)"\n(.*?)^```$', PAGE, flags=re.DOTALL | re.MULTILINE))
SMALL = {"test_photos": 1, "min_side_px": 32}
EVALUATE = {"steps": 3, "grid": 2, "threads": 1, "picture": {"crop_px": 16, "values": 2}}
TUNABLE = "from pipelines.cli import main; main()"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package of the manual is installed."""
    source = tmp_path_factory.mktemp("tunable-sharpen")
    for name in ("pyproject.toml", *(name for name in BLOCKS if name.startswith("tunable_sharpen/"))):
        path = source / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(BLOCKS[name], encoding="utf-8")
    target = tmp_path_factory.mktemp("site")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(target)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work tree of the manual, with small photographs and an evaluation of seconds."""
    tree = tmp_path_factory.mktemp("tree")
    (tree / "photos").mkdir()
    random = np.random.default_rng(0)
    for index in range(4):
        coarse = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((64, 48), Image.Resampling.BICUBIC)
        picture.save(tree / "photos" / f"{index}.png")
    picture.save(tree / "photo.png")
    params = yaml.safe_load(BLOCKS["params.yaml"])
    params["prepare"] |= SMALL
    params["train"] |= {"steps": 4, "log_every": 2, "checkpoint_every": 2}
    params["train"]["compute"] |= {"threads": 1}
    (tree / "params.yaml").write_text(yaml.safe_dump({**params, "evaluate": EVALUATE}))
    return tree


def environment(tree: Path, site: Path | None) -> dict[str, str]:
    folders = [str(ROOT), *([str(site)] if site else [])]
    return {
        **os.environ,
        "PYTHONPATH": ":".join(folders),
        "MLFLOW_TRACKING_URI": f"sqlite:///{tree}/mlflow.db",
        "TUNABLE_ZOO_STORE": str(tree / "none"),  # of the user; that of the work tree comes first
        "OMP_NUM_THREADS": "1",
    }


def tunable(tree: Path, site: Path | None, *arguments: str, code: int = 0) -> str:
    """What a command writes, with the package of ``site`` or without one."""
    command = [sys.executable, "-c", TUNABLE, *arguments]
    done = subprocess.run(
        command, cwd=tree, env=environment(tree, site), capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def documented() -> Iterator[list[str]]:
    """The commands of the manual, but for the one that installs."""
    for line in BLOCKS["commands"].splitlines():
        program, *arguments = line.split()
        if program == "tunable":
            yield arguments


@pytest.mark.cluster
def test_it_trains_is_published_applied_and_served(tree: Path, site: Path) -> None:
    run, apply, serve = documented()
    assert "unknown task 'sharpen'" in tunable(tree, None, "run", "train", code=1)
    assert "published sharpener@" in tunable(tree, site, *run)
    [manifest] = (tree / "zoo-store").glob("sharpener/*/manifest.json")
    origin = json.loads(manifest.read_text())["provenance"]["architecture_package"]
    assert origin == {"name": "tunable-sharpen", "version": "1.0"}
    record = json.loads((tree / "artifacts" / "train" / "record.json").read_text())
    assert (record["task"], record["architecture"]["id"]) == ("sharpen", "sharpener")
    [note] = (tree / ".state").glob("train-*/run.json")
    code = json.loads(note.read_text())["code"]
    assert {"tunable_sharpen.task", "tunable_sharpen.network"} <= code.keys()

    tunable(tree, site, *apply)
    assert Image.open(tree / "sharp.png").size == (64, 48)
    assert "pip install tunable-sharpen" in tunable(tree, None, *apply, "--overwrite", code=1)

    # Changed code of the package is another run.
    task = site / "tunable_sharpen" / "task.py"
    text = task.read_text()
    task.write_text(text.replace("2 * reach + 1, 1, reach", "2 * reach + 3, 1, reach + 1"))
    assert "training code changed (tunable_sharpen.task)" in tunable(tree, site, "run", "train")
    task.write_text(text)

    command = [sys.executable, "-c", TUNABLE, *serve, "--port", "0"]
    with subprocess.Popen(
        command,
        cwd=tree,
        env=environment(tree, site),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as server:
        try:
            said: list[str] = []
            for line in server.stdout or ():
                said.append(line)
                if found := re.search("^Serving at ([^ ]+)", line):
                    break
            else:
                pytest.fail("".join(said))
            with httpx.Client(base_url=found[1], timeout=None) as client:
                files = {"image": (tree / "photo.png").read_bytes()}
                answer = client.post("/v1/models/sharpener:apply", files=files, data={"sharpness": "0.5"})
            assert answer.status_code == 200
        finally:
            server.send_signal(signal.SIGTERM)
            wait_until(lambda: server.poll() is not None)
