from pathlib import Path

from pipelines.core.provenance import provenance


def test_it_knows_this_machine_and_survives_a_folder_without_git(tmp_path: Path) -> None:
    facts = provenance(tmp_path)
    assert facts["git_commit"] == "unknown"
    assert facts["git_dirty"] == "unknown"
    assert facts["torch"][0].isdigit()
    assert all(isinstance(value, str) for value in facts.values())


def test_it_names_the_commit() -> None:
    commit = provenance(Path(__file__).parent)["git_commit"]
    assert commit == "unknown" or len(commit) == 40
