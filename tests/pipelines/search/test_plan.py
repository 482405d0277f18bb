import os
from pathlib import Path
from typing import Any

import pytest

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError, DataError
from pipelines.core.layout import Layout
from pipelines.search.config import SearchConfig
from pipelines.search.plan import describe_search
from pipelines.search.search import Search
from pipelines.search.trial import SPEC
from pipelines.training.config import TrainConfig
from tiny_search import SEARCH, TRAIN


def planned(layout: Layout, address: str | None = None, **options: Any) -> dict[str, str]:
    """The lines by their first word."""
    config = parse_section(SEARCH | {"space": {"lr": [0.001, 0.002]}} | options, "search", SearchConfig)
    base = parse_section(TRAIN, "train", TrainConfig)
    lines = describe_search(Search(config=config, base=base, layout=layout), address)
    return {line[:12].strip(): line[12:] for line in lines}


@pytest.mark.slow
def test_a_search_is_described_and_nothing_is_done(layout: Layout) -> None:
    before = sorted(layout.root.rglob("*"))
    lines = planned(layout, seeds=[3, 4], minutes=2)
    assert lines == {
        "search": "tiny, by grid",
        "axes": "lr",
        "trials": "4 of 20 steps, with seeds [3, 4], at most 2 minutes",
        "objectives": "hypervolume (max), on 2 photographs",
        "concurrent": f"{len(os.sched_getaffinity(0))} trials of 1 x 1 threads",
        "state": f"{layout.state / 'search-tiny'}, new",
        "artefacts": str(layout.search),
    }
    assert sorted(layout.root.rglob("*")) == before


def test_the_capacity_of_a_cluster_is_checked_when_the_search_starts(layout: Layout) -> None:
    line = planned(layout, "10.0.0.1:6379")["concurrent"]
    assert "1 x 1 threads, in 10.0.0.1:6379" in line
    assert planned(layout, "10.0.0.1:6379", concurrent=999)["concurrent"].startswith("999 trials")
    with pytest.raises(ConfigError, match="999"):
        planned(layout, concurrent=999)


def test_skipped_points_are_logged(layout: Layout, caplog: pytest.LogCaptureFixture) -> None:
    space = {"batch_size": {"low": 2, "high": 5}}
    lines = planned(layout, space=space, algorithm="random", trials=9)
    assert lines["trials"].startswith("2 of 20 steps")
    skipped = sorted(message for message in caplog.messages if message.startswith("skipped: "))
    assert [f"batch_size {size}" in message for size, message in zip((3, 5), skipped, strict=True)] == [
        True
    ] * 2


def test_a_search_without_an_end_has_no_count(layout: Layout) -> None:
    space = {"lr": {"low": 0.001, "high": 0.002}}
    lines = planned(layout, space=space, algorithm="random", minutes=1)
    assert lines["trials"].startswith("unlimited of 20 steps")


def test_a_search_that_resumes_is_described(layout: Layout) -> None:
    for number in (1, 2):
        note = layout.state / "search-tiny" / f"trial-{number}" / SPEC
        note.parent.mkdir(parents=True)
        note.touch()
    assert planned(layout)["state"].endswith("resumes with 2 trials")


def test_nothing_to_score_on_is_refused(layout: Layout, tmp_path: Path) -> None:
    (layout.prepare / "validation").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError):
        planned(layout)
