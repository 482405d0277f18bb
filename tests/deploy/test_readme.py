"""The explanations name what is in the files, and nothing else."""

import re
from pathlib import Path

import pytest
import yaml

from pipelines.config import parse_section
from pipelines.train.config import ComputeConfig

DEPLOY = Path(__file__).parents[2] / "deploy"
TEXT = (DEPLOY / "README.md").read_text()


@pytest.mark.parametrize(("file", "heading"), [("ray-cluster.yaml", "## Ray"), ("slurm.sh", "## Slurm")])
def test_every_setting_that_is_explained_is_there(file: str, heading: str) -> None:
    section = TEXT.split(heading)[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    assert len(rows) > 8
    settings = [setting for row in rows for setting in re.findall(r"`([^`]+)`", row)]
    inside = (DEPLOY / file).read_text()
    words = [word for setting in settings for word in re.split(r"\s*[:…]\s+", setting.removesuffix(" …"))]
    assert [word for word in words if word not in inside] == []


def test_the_options_that_are_shown_are_understood() -> None:
    [block] = re.findall(r"```yaml\n(compute:.*?)```", TEXT, re.DOTALL)
    compute = parse_section(yaml.safe_load(block)["compute"], "train.compute", ComputeConfig)
    assert (compute.least_workers, compute.most_workers) == (2, 8)


def test_ray_starts_the_metrics_where_prometheus_is_told_to_look() -> None:
    ports = set(re.findall(r"--metrics-export-port=(\d+)", (DEPLOY / "ray-cluster.yaml").read_text()))
    assert ports == set(re.findall(r"http://NODE:(\d+)/metrics", TEXT)) == {"8080"}
