from pathlib import Path

import pytest

from pipelines.core.config import load_section, read_machine_settings
from pipelines.core.errors import ConfigError
from pipelines.training.config import TrainConfig


@pytest.fixture
def params(tmp_path: Path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text("train: {compute: {workers: 2, threads: 3}, steps: 100}\n")
    return path


def load(params: Path) -> TrainConfig:
    return load_section(params, "train", TrainConfig)


def test_the_environment_wins_over_the_local_file_and_that_over_the_parameters(
    params: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = params.with_name("local.yaml")
    local.write_text("train: {compute: {workers: 4}, log_every: 40}\nserve: {port: 1}\n")
    config = load(params)
    assert (config.compute.workers, config.compute.threads, config.log_every) == (4, 3, 40)
    assert config.identity() == load_section(params, "train", TrainConfig).identity()
    monkeypatch.setenv("TUNABLE_TRAIN__COMPUTE__WORKERS", "[1, 4]")
    assert load(params).compute.workers == (1, 4)
    assert [str(setting) for setting in read_machine_settings(params)] == [
        "train.compute.workers 4 (local.yaml)",
        "train.log_every 40 (local.yaml)",
        "serve.port 1 (local.yaml)",
        "train.compute.workers [1, 4] (TUNABLE_TRAIN__COMPUTE__WORKERS)",
    ]


def test_a_temporary_copy_takes_the_main_work_trees_file(params: Path) -> None:
    import subprocess

    subprocess.run(["git", "init", "--quiet"], cwd=params.parent, check=True)
    copy = params.parent / ".dvc" / "tmp" / "exps" / "tmpabc"
    subprocess.run(["git", "clone", "--quiet", params.parent, copy], check=True, capture_output=True)
    (copy / "params.yaml").write_bytes(params.read_bytes())
    params.with_name("local.yaml").write_text("train: {compute: {workers: 4}}\n")
    assert load(copy / "params.yaml").compute.workers == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("train: {steps: 1}", "local.yaml: train.steps is no machine setting"),
        ("train: {}", None),
        ("train:", None),
        ("train: 3", "local.yaml: train is no machine setting"),
        ("tarin: {compute: {workers: 1}}", "local.yaml: unknown section 'tarin'; did you mean 'train'"),
        ("train: {compute: {wrokers: 1}}", "local.yaml: unknown key 'train.compute.wrokers'"),
        ("train: {compute: {workers: 0}}", "local.yaml: train.compute.workers"),
        ("train: {compute: {threads: {a: 1}}}", "local.yaml: train.compute.threads"),
        ("train: [", "local.yaml is not valid YAML"),
    ],
)
def test_mistakes_are_named_with_their_file(params: Path, text: str, words: str | None) -> None:
    params.with_name("local.yaml").write_text(text)
    if words is None:
        assert load(params).compute.workers == 2
        return
    with pytest.raises(ConfigError) as caught:
        load(params)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TUNABLE_TRAIN__STEPS", "1", "TUNABLE_TRAIN__STEPS: train.steps is no machine setting"),
        ("TUNABLE_TRIAN__STEPS", "1", "TUNABLE_TRIAN__STEPS: unknown section 'trian'"),
        ("TUNABLE_TRAIN__COMPUTE__WORKERS", "many", "TUNABLE_TRAIN__COMPUTE__WORKERS: train.compute.workers"),
        ("TUNABLE_TRAIN__COMPUTE__WORKERS", "[", "TUNABLE_TRAIN__COMPUTE__WORKERS is not valid YAML"),
    ],
)
def test_mistakes_are_named_with_their_variable(
    params: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        load(params)
    assert words in str(caught.value)
