"""The report: figures, limits and whether they are met, as JSON and as Markdown."""

from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.cost.timing import Timing
from benchmarks.cost.variants import MAX_LOW_RANK_RATIO, Task

SCHEMA = 1

TIME_LIMITS: dict[tuple[str, str, str], float] = {
    ("edsr", "inference", "folded"): 1.02,
    ("edsr", "inference", "one omega"): 1.03,
    ("edsr", "training", "one omega"): 1.10,
    ("edsr", "training", "per sample"): 1.20,
    ("nafnet", "inference", "folded"): 1.02,
    ("nafnet", "inference", "one omega"): 1.08,
    ("nafnet", "training", "one omega"): 1.25,
    ("swinir", "inference", "folded"): 1.02,
    ("swinir", "inference", "one omega"): 1.08,
    ("swinir", "training", "one omega"): 1.25,
}
"""Architecture, kind of task and variant: the median ratio to the plain network that it may cost."""

METHOD = (
    "Two controls on a box, basis delta; omega changes with every call. Variants are called in turn; a ratio "
    "is the median over the rounds of a variant's time over the plain network's in the same round, with its "
    "quartiles. Training is one step with fused Adam. Memory is the peak of a process of its own beyond its "
    "imports."
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One variant at one task.

    Attributes:
        task: such as ``inference 1x256x256``.
        variant: its name.
        timing: against the plain network.
        limit: of the ratio; None where it is reported only.
        peak_mib: None where it was not measured.
    """

    task: str
    variant: str
    timing: Timing
    limit: float | None
    peak_mib: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, whether the limit is met among them."""
        figures = {name: round(value, 4) for name, value in asdict(self.timing).items()}
        peak = None if self.peak_mib is None else round(self.peak_mib, 1)
        given = {"task": self.task, "variant": self.variant, "limit": self.limit, "met": self.met}
        return {**given, "peak_mib": peak, **figures}

    @property
    def met(self) -> bool | None:
        """Whether the ratio is within its limit; None without one."""
        return None if self.limit is None else self.timing.ratio <= self.limit


def limit_of(architecture: str, task: Task, variant: str) -> float | None:
    """The limit of one variant's ratio, if it has one."""
    return TIME_LIMITS.get((architecture, task.kind, variant))


def parameters(plain: int, full: int, low: int, published: int, rank: int) -> dict[str, Any]:
    """Parameters beside the plain network's, for the report."""
    counts = {"plain": plain, "tunable": full, "low_rank": low, "published": published}
    ratios = {f"{name}_ratio": round(value / plain, 4) for name, value in counts.items() if name != "plain"}
    met = low / plain <= MAX_LOW_RANK_RATIO
    return {**counts, **ratios, "rank": rank, "limit": MAX_LOW_RANK_RATIO, "met": met}


def markdown(report: dict[str, Any]) -> str:
    """The same figures as tables, one a network."""
    machine, settings = report["machine"], report["settings"]
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    lines = [
        f"# What a slider costs, on {machine['processor']}",
        "",
        f"{settings['threads']} threads of {machine['cores']} cores; {versions}. {METHOD}",
        "",
    ]
    for network in report["networks"]:
        lines += _section(network)
    return "\n".join(lines) + "\n"


def _section(network: dict[str, Any]) -> list[str]:
    options = ", ".join(f"{key}={value!r}" for key, value in network["options"].items())
    parameters = network["parameters"]
    return [
        f"## {network['name']}({options})",
        "",
        f"Parameters: plain {parameters['plain']:,}; tunable {parameters['tunable_ratio']:.3f} x; "
        f"rank {parameters['rank']} {parameters['low_rank_ratio']:.3f} x "
        f"(limit {parameters['limit']:.2f}: {_verdict(parameters['met'])}); "
        f"published layer {parameters['published_ratio']:.3f} x.",
        "",
        "| task | variant | median ms | ratio | quartiles | limit | | peak MiB | rounds |",
        "|---|---|---:|---:|---|---:|---|---:|---:|",
        *(_line(row) for row in network["rows"]),
        "",
    ]


def _line(row: dict[str, Any]) -> str:
    limit = "" if row["limit"] is None else f"{row['limit']:.2f}"
    peak = "" if row["peak_mib"] is None else f"{row['peak_mib']:,.0f}"
    cells = (
        row["task"],
        row["variant"],
        f"{row['median_ms']:,.2f}",
        f"{row['ratio']:.3f}",
        f"{row['ratio_q1']:.3f} to {row['ratio_q3']:.3f}",
        limit,
        _verdict(row["met"]),
        peak,
        str(row["rounds"]),
    )
    return f"| {' | '.join(cells)} |"


def _verdict(met: bool | None) -> str:
    return {None: "", True: "met", False: "not met"}[met]
