"""The report as a page."""

from collections.abc import Mapping
from typing import Any

METHOD = (
    "Square pictures at the default setting, kernels mixed beforehand. Engines are called in turn; times are "
    "medians of one call, the CPU time that of all threads. How many times as fast is the median over the "
    "rounds of torch's CPU time over an engine's in the same round. The difference is the largest to torch, "
    "of clamped pictures, in levels of 255."
)


def markdown(report: Mapping[str, Any]) -> str:
    """One table: a row for each network, size and engine."""
    machine, settings = report["machine"], report["settings"]
    versions = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    lines = [
        f"# A picture on {machine['processor']}",
        "",
        f"{settings['threads']} threads of {machine['cores']} cores; {versions}. "
        f"{settings['rounds']} rounds. {METHOD}",
        "",
        "| network | px | engine | CPU ms | wall ms | times as fast | difference |",
        "|---|---:|---|---:|---:|---:|---:|",
    ]
    for row in report["rows"]:
        cells = (
            row["network"],
            str(row["side_px"]),
            row["engine"],
            f"{row['cpu_ms']:,.0f}",
            f"{row['wall_ms']:,.0f}",
            f"{row['times_as_fast']:.2f}",
            f"{255 * row['apart']:.5f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
