"""What is told of a node; a real cluster is asked in test_cluster.py."""

from pathlib import Path

import pytest

from pipelines.doctor import shared_storage

REPORT = {"host": "node7", "trouble": "", **shared_storage.software()}


def test_a_node_that_does_not_share_the_work_tree_is_a_fault(tmp_path: Path) -> None:
    report = REPORT | {"trouble": "Permission denied: /w"}
    found = shared_storage.verdict("10.0.0.7", report, tmp_path / "a", "x")
    assert [finding.level for finding in found] == ["fault", "ok"]
    assert "10.0.0.7 (node7) does not share this work tree: Permission denied: /w" in found[0].message
    assert "under the same path" in found[0].remedy


def test_an_answer_that_does_not_arrive_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(shared_storage, "VISIBLE_WITHIN_S", 0.2)
        assert shared_storage.verdict("10.0.0.7", REPORT, tmp_path / "a", "x")[0].level == "fault"
    (tmp_path / "a").write_text("x")
    assert shared_storage.verdict("10.0.0.7", REPORT, tmp_path / "a", "x")[0].level == "ok"


def test_other_software_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    other = REPORT | {"torch": "2.0.0", "training code": "0" * 12}
    found = shared_storage.verdict("10.0.0.7", other, tmp_path / "a", "x")
    assert found[1].level == "fault"
    assert "torch 2.0.0, here " in found[1].message
    assert "training code 000000000000, here " in found[1].message
