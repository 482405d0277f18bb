import pytest

from pipelines.core.layout import Layout
from pipelines.doctor.options import read_options


def test_all_sections_parse(layout: Layout) -> None:
    options, [found] = read_options(layout)
    assert found.level == "ok"
    assert options.train is not None
    assert options.train.steps == 6
    assert options.serve is not None


def test_each_section_that_does_not_is_told_and_the_others_are_there(layout: Layout) -> None:
    layout.params.write_text("train: {stesp: 3}\nserve: {port: eighty}\n")
    options, found = read_options(layout)
    assert [finding.level for finding in found] == ["fault", "fault"]
    assert "did you mean 'steps'" in found[0].message
    assert "serve.port" in found[1].message
    assert (options.train, options.serve) == (None, None)
    assert options.prepare is not None


@pytest.mark.parametrize("text", ["train: [", "tarin: {}"])
def test_what_concerns_the_whole_file_is_told_once(layout: Layout, text: str) -> None:
    layout.params.write_text(text)
    options, found = read_options(layout)
    assert [finding.level for finding in found] == ["fault"]
    assert options.prepare is None
