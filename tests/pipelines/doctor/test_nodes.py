"""The check of one node; a real cluster is probed in test_cluster.py."""

from pathlib import Path

import pytest

from pipelines.doctor import nodes
from pipelines.doctor.nodes import MARKER, check_node, list_software, probe_node

REPORT = {"host": "node7", "trouble": "", **list_software()}


def test_a_node_that_does_not_share_the_work_tree_is_a_fault(tmp_path: Path) -> None:
    report = REPORT | {"trouble": "Permission denied: /w"}
    found = check_node("10.0.0.7", report, tmp_path / "a", "x")
    assert [finding.level for finding in found] == ["fault", "ok"]
    assert "10.0.0.7 (node7) does not share this work tree: Permission denied: /w" in found[0].message
    assert "under the same path" in found[0].remedy


def test_an_answer_that_does_not_arrive_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(nodes, "VISIBLE_WITHIN_S", 0.2)
        assert check_node("10.0.0.7", REPORT, tmp_path / "a", "x")[0].level == "fault"
    (tmp_path / "a").write_text("x")
    assert check_node("10.0.0.7", REPORT, tmp_path / "a", "x")[0].level == "ok"


def test_other_software_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    other = REPORT | {"torch": "2.0.0", "training code": "0" * 12}
    found = check_node("10.0.0.7", other, tmp_path / "a", "x")
    assert found[1].level == "fault"
    assert "torch 2.0.0, here " in found[1].message
    assert "training code 000000000000, here " in found[1].message


def test_a_node_that_shares_the_folder_answers_in_it(tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text("content")
    report = probe_node(str(tmp_path), "content", "node")
    assert report["trouble"] == ""
    assert report["host"]
    assert (tmp_path / "node").read_text() == "content"
    assert {name: report[name] for name in list_software()} == list_software()


def test_a_node_that_does_not_says_why(tmp_path: Path) -> None:
    gone = probe_node(str(tmp_path / "gone"), "content", "node")
    assert "No such file or directory: " in gone["trouble"]
    (tmp_path / MARKER).write_text("another run's")
    assert MARKER in probe_node(str(tmp_path), "content", "node")["trouble"]
    assert not (tmp_path / "node").exists()
