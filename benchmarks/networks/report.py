"""The report as a page: the wrong ones first, counts, and a table for each library."""

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.networks.checks import CHECKS, ERROR, NOT_RUN, REFUSED, RIGHT, WRONG

PART = "right in part"
VERDICTS = (WRONG, ERROR, REFUSED, RIGHT, PART, NOT_RUN)
"""Of a network, the worst first; in part where it can't be asked everything."""

METHOD = (
    "Weights as initialised, in evaluation mode, deltas from a seeded normal distribution; two controls on a "
    "box, basis delta. The reference is a copy of the source whose parameters the benchmark itself sets to "
    "base + sum over j of omega_j delta_j. In float64 where the network can, outputs may differ by 1e-8 of "
    "the largest value, in float32 by 1e-3, gradients by ten times as much, that of omega by 1e-3. "
    "*convert*: `make_tunable` takes it; *omega = 0*: the source's output; *calls*: five of them at three "
    "omegas, one like the other; *view* and *fold*: `net.at` and `fold`, called twice; *samples*: two in a "
    "batch, each at its omega; *gradients*: of base, deltas and omega; *threads*: two at different omegas."
)
EXPORT = "*export*: an ONNX model with sliders."


def judge_network(row: Mapping[str, Any]) -> str:
    """One word for all answers: what the plain network cannot be asked is never right."""
    found = {answer["outcome"] for answer in row["answers"].values()}
    if NOT_RUN in found and RIGHT in found and found <= {NOT_RUN, RIGHT}:
        # Converting alone says nothing.
        return PART if row["answers"].get("calls", {}).get("outcome") == RIGHT else NOT_RUN
    return next(verdict for verdict in VERDICTS if verdict in found)


def count_verdicts(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many networks have each verdict."""
    verdicts = [judge_network(row) for row in rows]
    return {verdict: verdicts.count(verdict) for verdict in VERDICTS}


def write_page(report: Mapping[str, Any]) -> str:
    """The report in Markdown."""
    rows, settings = report["rows"], report["settings"]
    versions = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    norms = "Norms are tunable too." if settings["norms"] else "Norms stay plain, as by default."
    lines = [
        "# Other libraries' networks, made tunable",
        "",
        f"{versions}. {METHOD} {EXPORT + ' ' if settings['export'] else ''}{norms}",
        "",
    ]
    bad = [row for row in rows if judge_network(row) in (WRONG, ERROR)]
    if bad:
        lines += ["## Wrong", "", *_remarks(bad), ""]
    libraries = list(dict.fromkeys(row["library"] for row in rows))
    lines += [
        "| library | networks | " + " | ".join(VERDICTS) + " |",
        "|---|" + "---:|" * (len(VERDICTS) + 1),
    ]
    for library in libraries:
        lines.append(_count_line(library, [row for row in rows if row["library"] == library]))
    lines += [_count_line("together", rows), ""]
    for library in libraries:
        lines += _write_library(library, [row for row in rows if row["library"] == library])
    return "\n".join(lines)


def _count_line(name: str, rows: list[Any]) -> str:
    counts = count_verdicts(rows).values()
    return f"| {name} | {len(rows)} | {' | '.join(map(str, counts))} |"


def _write_library(library: str, rows: list[Any]) -> list[str]:
    order = sorted(rows, key=lambda row: VERDICTS.index(judge_network(row)))
    asked = [name for name in ("convert", *CHECKS) if any(name in row["answers"] for row in rows)]
    lines = [f"## {library}", "", f"| network | parameters | type | {' | '.join(asked)} |"]
    lines.append("|---|---:|---|" + "---|" * len(asked))
    for row in order:
        cells = [row["network"], f"{row.get('parameters', 0) / 1e6:.2f} M", row.get("dtype", "")]
        cells += [row["answers"].get(name, {}).get("outcome", "") for name in asked]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, "", *_remarks(order), ""]


def _remarks(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    return [
        f"- `{row['network']}`, {name}: {answer['outcome']}: {answer['detail']}"
        for row in rows
        for name, answer in row["answers"].items()
        if answer["detail"]
    ]
