"""The explanations name what is in the files, and nothing else."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.core.config import parse_section
from pipelines.doctor.options import check_processes
from pipelines.recipes import make_recipe
from pipelines.training.config import TrainConfig

DEPLOY = Path(__file__).parents[2] / "deploy"
TEXT = (DEPLOY / "README.md").read_text()


def section(heading: str) -> str:
    return TEXT.split(heading)[1].split("\n## ")[0]


def merged(options: dict[str, Any], shown: dict[str, Any]) -> dict[str, Any]:
    """The options with those that are shown in their place, key by key as by hand."""
    inner = {
        key: merged(options[key], value) for key, value in shown.items() if isinstance(options.get(key), dict)
    }
    return options | shown | inner


def walk_through(heading: str) -> TrainConfig:
    """Section ``train`` of somebody who takes the recipe and sets what the section shows."""
    [(task, budget)] = re.findall(r"tunable recipe (\S+) --budget (\S+)", TEXT)
    [block] = re.findall(r"```yaml\n(.*?)```", section(heading), re.DOTALL)
    options = merged(yaml.safe_load(make_recipe(task, budget)), yaml.safe_load(block))
    return parse_section(options["train"], "train", TrainConfig)


@pytest.mark.parametrize(("file", "heading"), [("ray-cluster.yaml", "## Ray"), ("slurm.sh", "## Slurm")])
def test_every_setting_that_is_explained_is_there(file: str, heading: str) -> None:
    rows = re.findall(r"^\| (`.*?) \|", section(heading), re.MULTILINE)
    assert len(rows) > 8
    settings = [setting for row in rows for setting in re.findall(r"`([^`]+)`", row)]
    inside = (DEPLOY / file).read_text()
    words = [word for setting in settings for word in re.split(r"\s*[:…]\s+", setting.removesuffix(" …"))]
    assert [word for word in words if word not in inside] == []


def test_the_recipe_with_rays_options_is_accepted() -> None:
    compute = walk_through("## Ray").compute
    assert (compute.runner, compute.least_workers, compute.most_workers) == ("ray", 2, 8)
    assert compute.max_failures > 10  # losses of a long run add up


def test_the_recipe_with_slurms_options_fits_each_job_that_is_shown() -> None:
    config = walk_through("## Slurm")
    script = dict(re.findall(r"#SBATCH --(\S+)=(\d+)$", (DEPLOY / "slurm.sh").read_text(), re.MULTILINE))
    commands = re.findall(r"^sbatch (.*?)deploy/slurm.sh", section("## Slurm"), re.MULTILINE)
    jobs = [script | dict(re.findall(r"--(\S+)=(\d+) ", command)) for command in commands]
    numbers = [(int(job["nodes"]), int(job["gpus-per-node"]), int(job["cpus-per-task"])) for job in jobs]
    assert [nodes * gpus for nodes, gpus, _ in numbers] == [8, 32]
    for nodes, gpus, cpus in numbers:
        assert [found.level for found in check_processes(config, nodes * gpus)] == ["ok"]
        assert gpus * (config.compute.threads + config.compute.loaders) <= cpus


def test_ray_starts_the_metrics_where_prometheus_is_told_to_look() -> None:
    ports = set(re.findall(r"--metrics-export-port=(\d+)", (DEPLOY / "ray-cluster.yaml").read_text()))
    assert ports == set(re.findall(r"http://NODE:(\d+)/metrics", TEXT)) == {"8080"}
