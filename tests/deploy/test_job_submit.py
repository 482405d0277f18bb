"""``ray job submit`` to a real cluster on this machine, with its dashboard."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import zoo
from waiting import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.server, pytest.mark.slow, pytest.mark.faults]

ROOT = Path(__file__).parents[2]

PARAMS = {
    "prepare": {"source": "photos", "test_photos": 1, "min_side_px": 32, "license": "CC0-1.0"},
    "train": {
        "network": {"config": {"width": 4, "blocks": 1}},
        "compute": {"workers": 1, "threads": 1},
        "steps": 4,
        "batch_size": 4,
        "patch_px": 16,
        "log_every": 2,
        "checkpoint_every": 2,
    },
    "evaluate": {"steps": 3, "grid": 2, "threads": 1, "picture": {"crop_px": 16, "values": 2}},
    "publish": {"name": "tiny"},
}


@pytest.fixture
def environment() -> dict[str, str]:
    """Without a cluster of the environment; the working directory goes before the installed package."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    own = {"PATH": path, "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    unset = ("RAY_ADDRESS", "MLFLOW_TRACKING_URI")
    return {name: value for name, value in os.environ.items() if name not in unset} | own


def find_free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def dashboard(environment: dict[str, str]) -> Iterator[str]:
    """Address of the dashboard of a cluster that ends with the test."""
    temporary = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # sockets have short names
    port = find_free_port()
    command = ["ray", "start", "--head", "--block", "--num-cpus=2", f"--temp-dir={temporary}"]
    command += ["--node-ip-address=127.0.0.1", f"--port={find_free_port()}", "--dashboard-host=127.0.0.1"]
    command += ["--include-dashboard=true", f"--dashboard-port={port}"]
    log = Path(temporary) / "start.log"
    with log.open("w") as out:
        cluster = subprocess.Popen(
            command, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )

    def answers() -> bool:
        assert cluster.poll() is None, log.read_text()
        listing = ["ray", "job", "list", "--address", f"http://127.0.0.1:{port}"]
        return subprocess.run(listing, env=environment, capture_output=True, check=False).returncode == 0

    try:
        wait_until(answers)
        yield f"http://127.0.0.1:{port}"
    finally:
        cluster.send_signal(signal.SIGTERM)  # `ray start --block` ends what it started
        with suppress(subprocess.TimeoutExpired):
            cluster.wait(60)
        with suppress(ProcessLookupError):
            os.killpg(cluster.pid, signal.SIGKILL)
        cluster.wait()
        shutil.rmtree(temporary, ignore_errors=True)


def test_a_job_runs_the_stages_where_its_results_stay(
    dashboard: str, environment: dict[str, str], tmp_path: Path
) -> None:
    shared, uploaded = tmp_path / "shared", tmp_path / "checkout"
    (shared / "photos").mkdir(parents=True)
    random = np.random.default_rng(0)
    for index in range(4):
        coarse = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((64, 48)).save(shared / "photos" / f"{index}.png")
    for package in ("pipelines", "tunable_models", "zoo"):
        shutil.copytree(ROOT / package, uploaded / package, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in (shared, uploaded):
        (folder / "params.yaml").write_text(yaml.safe_dump(PARAMS))

    # First in Ray's copy of the checkout, which is refused.
    both = f"tunable run all || tunable run all --root {shared}"
    done = subprocess.run(
        ["ray", "job", "submit", "--address", dashboard, "--working-dir", ".", "--", "bash", "-c", both],
        cwd=uploaded,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("--root /shared") == done.stdout.count("photographs for training") == 1
    assert zoo.load("tiny", stores=[zoo.Store(shared / "zoo-store")]).version in done.stdout
    assert "Failed to query" not in done.stdout
