"""Calls take turns, and the first one is what the others are compared with."""

from benchmarks.inference.measure import WARM_UP, measure
from benchmarks.inference.report import markdown


def test_calls_take_turns() -> None:
    called: list[str] = []

    def call(name: str) -> None:
        called.append(name)
        sum(range(20_000))

    rows = measure({name: lambda _, name=name: call(name) for name in "ab"}, rounds=3)
    assert sorted(called) == ["a"] * (3 + WARM_UP) + ["b"] * (3 + WARM_UP)
    assert all(set(called[turn : turn + 2]) == {"a", "b"} for turn in range(0, len(called), 2))
    assert [row["engine"] for row in rows] == ["a", "b"]
    assert rows[0]["times_as_fast"] == 1


def test_a_page_has_a_row_for_each() -> None:
    row = {"engine": "onnx", "wall_ms": 1.0, "cpu_ms": 2.0, "times_as_fast": 5.4, "apart": 5e-7}
    report = {
        "machine": {"processor": "one", "cores": 2},
        "versions": {"torch": "2"},
        "settings": {"threads": 2, "rounds": 3},
        "rows": [{"network": "drunet half-m", "side_px": 256, **row}] * 2,
    }
    assert markdown(report).count("| drunet half-m | 256 | onnx | 2 | 1 | 5.40 | 0.00013 |") == 2
