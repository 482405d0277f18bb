from pathlib import Path

import pytest

from pipelines.doctor.home import home, token


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def write_token(path: Path, mode: int) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("0" * 64)
    path.chmod(mode)
    return path


def test_a_home_that_can_be_written(folder: Path) -> None:
    assert [finding.level for finding in home()] == ["ok"]
    assert list(folder.iterdir()) == []


def test_one_that_cannot_is_a_warning(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder / "nobody"))
    [found] = home()
    assert found.level == "warning"
    assert "export HOME=" in found.remedy


def test_a_private_cluster_needs_no_token(folder: Path) -> None:
    assert token(None) == []


@pytest.mark.parametrize(
    ("mode", "level"), [(0o600, "ok"), (0o400, "ok"), (0o644, "warning"), (0o620, "warning")]
)
def test_a_token_that_others_can_use_is_told(folder: Path, mode: int, level: str) -> None:
    path = write_token(folder / ".ray" / "auth_token", mode)
    [found] = token(None)
    assert found.level == level
    if level == "warning":
        assert f"mode {mode:04o}" in found.message
        assert found.remedy == f"chmod 600 {path}"


def test_a_named_file_is_looked_at_as_well(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(folder / "token"))
    [found] = token(None)
    assert found.level == "fault"
    assert "which is no file" in found.message
    write_token(folder / "token", 0o666)
    assert [finding.level for finding in token(None)] == ["warning"]


def test_a_cluster_gets_a_token_only_if_ray_is_told_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [found] = token("10.0.0.1:6379")
    assert found.level == "warning"
    assert "export RAY_AUTH_MODE=token" in found.remedy
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    [found] = token("10.0.0.1:6379")
    assert found.level == "warning"
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    [found] = token("10.0.0.1:6379")
    assert found.level == "ok"
    assert "secret" not in found.message
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    assert [finding.level for finding in token("10.0.0.1:6379")] == ["fault"]
    write_token(folder / ".ray" / "auth_token", 0o600)
    assert [finding.level for finding in token("10.0.0.1:6379")] == ["ok", "ok"]
