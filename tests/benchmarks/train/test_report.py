from benchmarks.train.report import markdown, rows, startup
from benchmarks.train.variants import BARE, RAY, TWO, Measured

FOUND = {
    BARE: [Measured(100.0, {}), Measured(80.0, {}), Measured(110.0, {}, start=2)],
    RAY: [
        Measured(98.0, {"cluster": 5.0}),
        Measured(80.0, {"cluster": 7.0}),
        Measured(99.0, {"cluster": 6.0}, start=2),
    ],
    TWO: [Measured(170.0, {"cluster": 5.0})] * 3,
}


def test_ratios_are_of_the_same_round() -> None:
    bare, ray, two = rows(FOUND)
    assert bare["ratio"] == 1
    assert (ray["images_per_s"], ray["ratio"]) == (98.0, 0.98)
    assert ray["ratio_of_starts"] == [0.99, 0.9]
    assert two["against"] == RAY
    assert two["ratio"] == sorted([170 / 98, 170 / 80, 170 / 99])[1]
    assert startup(FOUND[RAY]) == {"cluster": 6.0}


def test_the_page_says_which_limits_are_met() -> None:
    report = {
        "machine": {"cores": 2},
        "versions": {},
        "settings": {},
        "rows": rows(FOUND),
        "startup_s": {RAY: startup(FOUND[RAY])},
    }
    text = markdown(report)
    assert "| Ray Train, 1 worker | 98.0 | 0.980 |" in text
    assert "| 0.990, 0.900 | the bare loop | 0.97 met |" in text
    assert "1.8 **not met**" in text
    assert "Ray Train, 1 worker: cluster 6.0; 6.0 in all." in text
