from importlib.metadata import PackageNotFoundError

import pytest

from pipelines.core.layout import Layout
from pipelines.doctor import versions as module
from pipelines.doctor.versions import dvc, versions


def floors(monkeypatch: pytest.MonkeyPatch, *texts: str) -> None:
    monkeypatch.setattr(module, "requires", lambda name: list(texts))


def test_what_is_installed_here_is_enough() -> None:
    [found] = versions()
    assert found.level == "ok"
    assert "torch " in found.message
    assert "ray " in found.message


def test_a_package_below_its_floor_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    floors(monkeypatch, "torch>=999", "pyyaml>=6")
    [found] = versions()
    assert found.level == "fault"
    assert "is not >=999" in found.message
    assert found.remedy == "pip install 'torch>=999'"


def test_a_package_that_is_missing_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    floors(monkeypatch, "nobody-made-this>=1")
    [found] = versions()
    assert found.message == "nobody-made-this is not installed"


def test_only_extras_of_the_road_count(monkeypatch: pytest.MonkeyPatch) -> None:
    floors(
        monkeypatch,
        'torch>=999; extra == "export"',
        'pyyaml>=999; extra == "pipelines"',
        'rich>=999; python_version < "3"',
    )
    assert [found.remedy for found in versions()] == ["pip install 'pyyaml>=999'"]


def test_a_package_that_is_not_installed_knows_no_floors(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> list[str]:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(module, "requires", absent)
    assert [found.level for found in versions()] == ["warning"]


def test_dvc_is_asked_for_where_stages_are_versioned(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    assert dvc(layout)[0].level == "ok"
    (layout.root / "dvc.yaml").write_text("stages: {train: {cmd: tunable run train}}")
    monkeypatch.setenv("PATH", str(layout.root))
    assert [finding.level for finding in dvc(layout)] == ["warning"]
    for command in ("dvc", "tunable"):
        assert command in dvc(layout)[0].message
        (layout.root / command).write_text("#!/bin/sh\n")
        (layout.root / command).chmod(0o755)
    assert dvc(layout)[0].remedy == "run: dvc init"
    (layout.root / ".dvc").mkdir()
    assert dvc(layout) == []
