from pathlib import Path

from pipelines.doctor.node import MARKER, look, software


def test_a_node_that_shares_the_folder_answers_in_it(tmp_path: Path) -> None:
    (tmp_path / MARKER).write_text("content")
    report = look(str(tmp_path), "content", "node")
    assert report["trouble"] == ""
    assert report["host"]
    assert (tmp_path / "node").read_text() == "content"
    assert {name: report[name] for name in software()} == software()


def test_a_node_that_does_not_says_why(tmp_path: Path) -> None:
    gone = look(str(tmp_path / "gone"), "content", "node")
    assert "No such file or directory: " in gone["trouble"]
    (tmp_path / MARKER).write_text("another run's")
    assert "holds something else" in look(str(tmp_path), "content", "node")["trouble"]
    assert not (tmp_path / "node").exists()
