from pathlib import Path

import pytest

from pipelines.core.errors import ConfigError
from pipelines.core.records import read_json, write_json_atomic
from pipelines.search import identity
from pipelines.search.identity import claim

WANTED = {"search": {"space": {"lr": [0.1]}}, "photos": "a", "code": "c"}


def fail(sentence: str) -> None:
    pytest.fail(sentence)


def test_the_same_search_goes_on(tmp_path: Path) -> None:
    claim(tmp_path, WANTED, fail)
    claim(tmp_path, WANTED, fail)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"search": {"space": {"lr": [0.2]}}}, r"search\.space\.lr was \[0\.1\], is \[0\.2\]"),
        ({"search": {"space": {}}}, r"search\.space\.lr was \[0\.1\], is not there"),
        ({"photos": "b"}, "the training photographs changed"),
        ({"code": "d"}, "the training code changed"),
    ],
)
def test_another_one_is_refused_and_told_what_differs(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    claim(tmp_path, WANTED, fail)
    with pytest.raises(ConfigError, match=said):
        claim(tmp_path, WANTED | change, fail)
    claim(tmp_path, WANTED, fail)  # and it is as it was


def test_other_versions_are_told_once_and_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    for torch in ("2.14.1", "2.14.1", "2.15.0", "2.15.0"):
        monkeypatch.setattr(identity, "installed_versions", lambda torch=torch: {"torch": torch})
        claim(tmp_path, WANTED, said.append)
    assert said == [
        "search: with torch 2.15.0, formerly 2.14.1: the numbers of what is trained from here on may differ"
    ]
    note = read_json(tmp_path / "search.json")
    assert note["versions"] == {"torch": "2.15.0"}
    assert note["lineage"] == [{"torch": {"was": "2.14.1", "is": "2.15.0"}}]


def test_a_search_that_was_written_down_without_versions_goes_on(tmp_path: Path) -> None:
    write_json_atomic(tmp_path / "search.json", WANTED)
    claim(tmp_path, WANTED, fail)
    assert read_json(tmp_path / "search.json")["versions"]["torch"]
