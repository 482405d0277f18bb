"""``tunable serve``: what is settled before Ray starts; that it serves is tested with the server."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

import zoo
from pipelines.cli import extras
from pipelines.cli import serve as command


def test_a_missing_extra_is_one_sentence(
    tunable: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda module: None if module == "ray" else object())
    result = tunable("serve", "tiny")
    assert (result.exit_code, result.stderr) == (
        1,
        "tunable: this needs ray: pip install 'tunable-zoo[serve]'\n",
    )


def test_unknown_model(tunable: Callable[..., Result]) -> None:
    result = tunable("serve", "tinny")
    assert result.exit_code == 1
    assert "did you mean 'tiny'" in result.stderr


def test_one_name_twice(tunable: Callable[..., Result], store: zoo.Store) -> None:
    result = tunable("serve", "tiny", f"tiny@{store.versions('tiny')[0]}")
    assert result.exit_code == 1
    assert "twice" in result.stderr


def test_options_come_before_params(tunable: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {train: {cmd: tunable run train}}")
    (tmp_path / "params.yaml").write_text("serve: {port: 9000, replicas: 3}\n")
    config = command._config(host=None, port=9001)
    assert (config.host, config.port, config.replicas) == ("127.0.0.1", 9001, 3)
