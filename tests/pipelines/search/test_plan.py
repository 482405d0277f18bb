import os
from pathlib import Path
from typing import Any

import pytest

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError, DataError
from pipelines.core.layout import Layout
from pipelines.search.config import SearchConfig
from pipelines.search.order import NOTE
from pipelines.search.plan import plan
from pipelines.search.search import Search
from pipelines.training.config import TrainConfig
from tiny_search import SEARCH, TRAIN


def planned(layout: Layout, address: str | None = None, **options: Any) -> dict[str, str]:
    """The lines by their first word; what goes on below one, behind a line break."""
    config = parse_section(SEARCH | {"space": {"lr": [0.001, 0.002]}} | options, "search", SearchConfig)
    base = parse_section(TRAIN, "train", TrainConfig)
    lines: dict[str, str] = {}
    for line in plan(Search(config=config, base=base, layout=layout), address):
        name = line[:12].strip() or list(lines)[-1]
        lines[name] = f"{lines[name]}\n{line[12:]}" if name in lines else line[12:]
    return lines


@pytest.mark.slow
def test_a_search_is_told_and_nothing_is_done(layout: Layout) -> None:
    before = sorted(layout.root.rglob("*"))
    lines = planned(layout, seeds=[3, 4], minutes=2)
    assert lines == {
        "search": "tiny, by grid",
        "axes": "lr",
        "trials": "4 of 20 steps, with seeds [3, 4], 2 minutes at most",
        "objectives": "hypervolume (max), on 2 photographs",
        "at a time": f"{len(os.sched_getaffinity(0))} trials of 1 x 1 threads",
        "state": f"{layout.state / 'search-tiny'}, new",
        "artefacts": str(layout.search),
    }
    assert sorted(layout.root.rglob("*")) == before


def test_the_room_of_a_cluster_is_checked_when_the_search_starts(layout: Layout) -> None:
    told = "trials of 1 x 1 threads, in 10.0.0.1:6379, whose room is checked when the search starts"
    at_a_time = planned(layout, "10.0.0.1:6379")["at a time"]
    assert at_a_time == told.replace("trials", "as many trials as there is room for,", 1)
    assert planned(layout, "10.0.0.1:6379", concurrent=999)["at a time"] == f"999 {told}"
    with pytest.raises(ConfigError, match="999 trials at a time"):
        planned(layout, concurrent=999)


def test_points_that_are_passed_over_are_told(layout: Layout) -> None:
    space = {"batch_size": {"low": 2, "high": 5}}
    trials, *notes = planned(layout, space=space, algorithm="random", trials=9)["trials"].splitlines()
    assert trials.startswith("2 of 20 steps")
    assert sorted(note.partition(" cannot")[0] for note in notes) == [
        f"passed over: search.space: the point batch_size {size}" for size in (3, 5)
    ]


def test_a_search_without_an_end_has_no_count(layout: Layout) -> None:
    space = {"lr": {"low": 0.001, "high": 0.002}}
    lines = planned(layout, space=space, algorithm="random", minutes=1)
    assert lines["trials"].startswith("no end of 20 steps")


def test_a_search_that_goes_on_says_so(layout: Layout) -> None:
    for number in (1, 2):
        note = layout.state / "search-tiny" / f"trial-{number}" / NOTE
        note.parent.mkdir(parents=True)
        note.touch()
    assert planned(layout)["state"].endswith(", goes on with 2 trials")


def test_nothing_to_score_on_is_told(layout: Layout, tmp_path: Path) -> None:
    (layout.prepare / "validation").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError):
        planned(layout)
