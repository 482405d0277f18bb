from pathlib import Path

import pytest

from pipelines.core.errors import ConfigError
from pipelines.core.records import read_json, write_json_atomic
from pipelines.search import identity
from pipelines.search.identity import claim_folder

WANTED = {"search": {"space": {"lr": [0.1]}}, "photos": "a", "code": "c"}


def test_the_same_search_resumes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    claim_folder(tmp_path, WANTED)
    claim_folder(tmp_path, WANTED)
    assert not caplog.messages


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"search": {"space": {"lr": [0.2]}}}, r"search\.space\.lr was \[0\.1\], is \[0\.2\]"),
        ({"search": {"space": {}}}, r"search\.space\.lr was \[0\.1\], is unset"),
        ({"photos": "b"}, "training photographs"),
        ({"code": "d"}, "training code"),
    ],
)
def test_another_one_is_refused_with_the_differences(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    claim_folder(tmp_path, WANTED)
    with pytest.raises(ConfigError, match=message):
        claim_folder(tmp_path, WANTED | change)
    claim_folder(tmp_path, WANTED)  # and it is as it was


def test_other_versions_are_logged_once_and_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for torch in ("2.14.1", "2.14.1", "2.15.0", "2.15.0"):
        monkeypatch.setattr(identity, "installed_versions", lambda torch=torch: {"torch": torch})
        claim_folder(tmp_path, WANTED)
    [message] = caplog.messages
    assert "2.15.0" in message
    assert "2.14.1" in message
    note = read_json(tmp_path / "search.json")
    assert note["versions"] == {"torch": "2.15.0"}
    assert note["lineage"] == [{"torch": {"was": "2.14.1", "is": "2.15.0"}}]


def test_a_search_that_was_written_down_without_versions_resumes(tmp_path: Path) -> None:
    write_json_atomic(tmp_path / "search.json", WANTED)
    claim_folder(tmp_path, WANTED)
    assert read_json(tmp_path / "search.json")["versions"]["torch"]
