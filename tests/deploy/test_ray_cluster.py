"""The launcher's file: Ray's own schema, and `ray up` itself with ssh and rsync that go nowhere."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "ray-cluster.yaml"


@pytest.fixture
def config() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(FILE.read_text())
    return loaded


def prepared(config: dict[str, Any]) -> dict[str, Any]:
    from ray.autoscaler._private.util import prepare_config

    ready: dict[str, Any] = prepare_config(config)
    return ready


def test_it_is_what_rays_schema_asks_for(config: dict[str, Any]) -> None:
    from ray.autoscaler._private.util import validate_config

    ready = prepared(config)
    validate_config(ready)
    assert ready["available_node_types"]["local.cluster.node"]["min_workers"] == 2


def test_the_schema_would_refuse_a_misspelt_setting(config: dict[str, Any]) -> None:
    import ray.autoscaler

    schema = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
    with pytest.raises(jsonschema.ValidationError, match="setup_comands"):
        jsonschema.validate({**prepared(config), "setup_comands": []}, schema)


def test_every_file_that_it_mounts_is_here(config: dict[str, Any]) -> None:
    ours = {place: ROOT / source for place, source in config["file_mounts"].items() if source[0] != "~"}
    assert all(path.exists() for path in ours.values())
    names = {Path(place).name for place in ours}
    pyproject = (ROOT / "pyproject.toml").read_text()
    packages = {name for name in re.findall(r'"(\w+)\*"', pyproject)}
    assert names >= packages | {"pyproject.toml", "README.md", "LICENSE", "constraints.txt"}


def test_all_nodes_speak_with_a_token(config: dict[str, Any]) -> None:
    for commands in (config["head_start_ray_commands"], config["worker_start_ray_commands"]):
        starts = [command for command in commands if "ray start" in command]
        assert len(starts) == 1
        assert "RAY_AUTH_MODE=token" in starts[0]
        assert "--metrics-export-port=8080" in starts[0]


@pytest.mark.slow
def test_ray_up_does_with_the_head_what_it_says(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: Callable[..., None],
    calls: Callable[[], list[str]],
    config: dict[str, Any],
) -> None:
    program("ssh")
    program("rsync")
    for name in (".ray/auth_token", ".ssh/id_ed25519"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("secret")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    command = [Path(sys.executable).with_name("ray"), "up", "--yes", "--no-config-cache"]
    done = subprocess.run(
        [*command, "--disable-usage-stats", "--cluster-name", f"test-{os.getpid()}", FILE],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    made = calls()
    assert all("tunable@10.0.0.1" in call for call in made)
    steps = [
        "rsync .* pipelines/ tunable@10.0.0.1:~/tunable-zoo/pipelines/$",
        r"rsync .*\.ray/auth_token tunable@10.0.0.1:~/\.ray/auth_token$",
        re.escape(config["initialization_commands"][0]),
        *(re.escape(line.replace("'", "'\"'\"'")) for line in config["setup_commands"]),
        r"\(.*ray stop\)",
        r"\(.*ulimit -n 65536; RAY_AUTH_MODE=token .*ray start --head --port=6379 .*\)",
    ]
    places = [next(i for i, call in enumerate(made) if re.search(step, call)) for step in steps]
    assert places == sorted(places)
