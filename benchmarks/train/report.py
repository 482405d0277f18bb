"""What was found, in numbers and as a page."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.train.variants import BARE, LIMITS, Measured


def rows(found: Mapping[str, Sequence[Measured]]) -> list[dict[str, Any]]:
    """Medians and quartiles over the rounds; ratios are of the same round.

    Of each start too: a process keeps several percent of speed, more or less, for as long as it lives.
    """
    made = []
    for name, measured in found.items():
        against, least = LIMITS.get(name, (BARE, None))
        speeds = [one.images_per_s for one in measured]
        ratios = [mine / its.images_per_s for mine, its in zip(speeds, found[against], strict=True)]
        busy = [one.utilisation for one in measured if one.utilisation is not None]
        others = [one.others for one in measured if one.others is not None]
        low, middle, high = _quartiles(ratios)
        made.append(
            {
                "name": name,
                "images_per_s": statistics.median(speeds),
                "against": against,
                "ratio": middle,
                "ratio_q1": low,
                "ratio_q3": high,
                "ratio_of_starts": [statistics.median(own) for own in _by_start(measured, ratios)],
                "least_ratio": least,
                "utilisation_percent": statistics.median(busy) if busy else None,
                "other_cores": statistics.median(others) if others else None,
                "rounds": len(speeds),
            }
        )
    return made


def _by_start(measured: Sequence[Measured], ratios: Sequence[float]) -> list[list[float]]:
    made: dict[int, list[float]] = {}
    for one, ratio in zip(measured, ratios, strict=True):
        made.setdefault(one.start, []).append(ratio)
    return list(made.values())


def _quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def startup(measured: Sequence[Measured]) -> dict[str, float]:
    """Median seconds of each part."""
    return {part: statistics.median(one.startup[part] for one in measured) for part in measured[0].startup}


def markdown(report: Mapping[str, Any]) -> str:
    """The report as a page."""
    lines = ["# Training speed", ""]
    for title in ("machine", "versions", "settings"):
        named = ", ".join(f"{key} {value}" for key, value in report[title].items() if value is not None)
        lines += [f"{title}: {named}", ""]
    lines += [
        "| variant | images/s, or as named | ratio | quartiles | of each start | of | least | GPU busy | "
        "cores busy with other things |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in report["rows"]:
        least = "" if row["least_ratio"] is None else f"{row['least_ratio']:g} {_verdict(row)}"
        busy = "" if row["utilisation_percent"] is None else f"{row['utilisation_percent']:.0f} %"
        starts = ", ".join(f"{ratio:.3f}" for ratio in row["ratio_of_starts"])
        others = "" if row["other_cores"] is None else f"{row['other_cores']:.2f}"
        lines.append(
            f"| {row['name']} | {row['images_per_s']:.1f} | {row['ratio']:.3f} | {row['ratio_q1']:.3f} to "
            f"{row['ratio_q3']:.3f} | {starts} | {row['against']} | {least} | {busy} | {others} |"
        )
    lines += [
        "",
        f"Medians over {report['rows'][0]['rounds']} rounds; each round gives every variant a turn.",
        "",
    ]
    lines += ["## Before the first step, in seconds", ""]
    for name, parts in report["startup_s"].items():
        named = ", ".join(f"{part} {seconds:.1f}" for part, seconds in parts.items())
        lines += [f"{name}: {named}; {sum(parts.values()):.1f} in all.", ""]
    return "\n".join(lines)


def _verdict(row: Mapping[str, Any]) -> str:
    return "met" if row["ratio"] >= row["least_ratio"] else "**not met**"
