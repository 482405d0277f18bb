"""A random search over few points, which ends by itself."""

import pytest

from pipelines.config import load_section
from pipelines.paths import Layout
from pipelines.records import read_json
from pipelines.train.config import TrainConfig
from tiny_search import run_search, searched, write_search

MEANS = [[0.2, 0.9], [0.9, 0.2]]


def test_points_are_drawn_until_there_is_no_other(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    space = {
        "distributions": [
            {"family": "schedule", "points": {"low": 3, "high": 4}},
            {"family": "truncated-normal", "mean": MEANS},
        ],
        "batch_size": [4, 5],
    }
    write_search(layout, space=space, algorithm="random", minutes=5, steps=10)
    run_search(layout)
    said = capsys.readouterr().out
    assert said.count("passed over: search.space: the point ") == 4
    table = searched(layout)
    assert list(table["state"]) == ["completed"] * 4, said
    assert set(table["batch_size"]) == {4}
    assert set(table["schedule.points"].dropna()) == {3, 4}
    assert set(table["truncated-normal.mean"].dropna()) == {str(mean) for mean in MEANS}
    best = read_json(layout.search / "record.json")["best"]["point"]
    sampling = load_section(layout.search / "params.yaml", "train", TrainConfig).sampling
    assert sampling.family == best["distribution"]
    assert str(list(sampling.mean or ())) == best.get("truncated-normal.mean", "[]")  # type: ignore[arg-type]
