from pathlib import Path

import pytest
import yaml

import pipelines
from pipelines.core.config import load_section
from pipelines.core.errors import ConfigError
from pipelines.search.results.best_params import write_params
from pipelines.training.config import TrainConfig

PARAMS = Path(pipelines.__file__).parents[1] / "params.yaml"

FRAGMENT = """\
# Ours.
train:
  steps: 20  # few
  sampling:  # of omega
    family: dirichlet
    alpha: 0.5  # flat is 1

  # how long
  log_every: 10

# next
serve:
  port: 8000
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.yaml"
    path.write_text(FRAGMENT)
    return path


@pytest.mark.slow
def test_nothing_changed_is_the_same_text(tmp_path: Path) -> None:
    write_params(PARAMS, tmp_path / "best.yaml", {})
    assert (tmp_path / "best.yaml").read_bytes() == PARAMS.read_bytes()


def test_the_repository_s_own_parameters_with_the_best_values_train(tmp_path: Path) -> None:
    sampling = {"family": "truncated-normal", "mean": 0.5, "std": 0.00001 * 2e4, "group": 8}
    changes = {"train.sampling": sampling, "train.optimizer.lr": 1e-5, "train.network.rank": 4}
    write_params(PARAMS, tmp_path / "deep" / "best.yaml", changes)
    old = load_section(PARAMS, "train", TrainConfig)
    new = load_section(tmp_path / "deep" / "best.yaml", "train", TrainConfig)
    assert new.sampling.model_dump(exclude_unset=True) == sampling
    assert (new.optimizer.lr, new.network.rank) == (1e-5, 4)
    assert new.task == old.task
    assert new.compute == old.compute
    lines = (tmp_path / "deep" / "best.yaml").read_text().splitlines()
    assert [line for line in PARAMS.read_text().splitlines() if line not in lines] == [
        "    family: dirichlet          # on a box: Beta(alpha, alpha) for each slider",
        "    alpha: 0.5",
        "    group: 4                   # samples that share one omega",
        "    lr: 0.001",
    ]


def test_comments_below_what_goes_stay(source: Path, tmp_path: Path) -> None:
    changes = {"train.sampling": {"family": "beta", "a": 0.5, "b": [1, 2]}, "train.seed": 3}
    write_params(source, tmp_path / "best.yaml", changes)
    assert (tmp_path / "best.yaml").read_text() == (
        FRAGMENT.replace("    alpha: 0.5  # flat is 1\n", "    a: 0.5\n    b: [1, 2]\n")
        .replace("dirichlet", "beta")
        .replace("  log_every: 10\n", "  log_every: 10\n  seed: 3\n")
    )


def test_a_mapping_takes_the_place_of_a_value_and_the_other_way_round(source: Path, tmp_path: Path) -> None:
    write_params(source, tmp_path / "best.yaml", {"train.sampling": None, "train.log_every": {"of": 10}})
    written = (tmp_path / "best.yaml").read_text()
    assert yaml.safe_load(written)["train"] == {"steps": 20, "sampling": None, "log_every": {"of": 10}}
    assert written.endswith("\n\n# next\nserve:\n  port: 8000\n")


def test_sections_that_are_missing_or_empty_are_made(tmp_path: Path) -> None:
    source = tmp_path / "source.yaml"
    for text in ("", "train:\n", "serve: {port: 1}\n"):
        source.write_text(text)
        write_params(source, tmp_path / "best.yaml", {"train.optimizer.lr": 0.1})
        assert yaml.safe_load((tmp_path / "best.yaml").read_text())["train"] == {"optimizer": {"lr": 0.1}}


@pytest.mark.parametrize("value", [1e-5, 1e16, "off", "1e-3", "null", "12:30", "", None, True, [1.0, "no"]])
def test_values_are_read_as_they_were_written(value: object, source: Path, tmp_path: Path) -> None:
    write_params(source, tmp_path / "best.yaml", {"train.x": value})
    assert yaml.safe_load((tmp_path / "best.yaml").read_text())["train"]["x"] == value


def test_refusals(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "best.yaml"
    with pytest.raises(ConfigError, match=r"'train.steps.x'"):
        write_params(source, target, {"train.steps.x": 1})
    with pytest.raises(ConfigError, match=r"none.yaml"):
        write_params(tmp_path / "none.yaml", target, {})
    source.write_text("train: [")
    with pytest.raises(ConfigError, match=r"source.yaml .*YAML"):
        write_params(source, target, {})
    source.write_text("- 1")
    with pytest.raises(ConfigError, match="sections"):
        write_params(source, target, {})
    assert not target.exists()
