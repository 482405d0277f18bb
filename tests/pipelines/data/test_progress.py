import pytest

from pipelines.data.progress import progress


def test_items_pass_and_the_end_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress("abc", "work")) == ["a", "b", "c"]
    out = capsys.readouterr().out
    assert out.startswith("work: 3/3 photographs,")
    assert out.count("\n") == 1


def test_lines_come_as_often_as_asked(capsys: pytest.CaptureFixture[str]) -> None:
    list(progress("abc", "work", every_s=0))
    assert capsys.readouterr().out.count("\n") == 3


def test_nothing_to_do_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress("", "work")) == []
    assert capsys.readouterr().out == ""
