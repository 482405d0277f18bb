"""One run: every network, every task, every variant, and the report of it."""

import dataclasses
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks.cost.machine import machine, versions
from benchmarks.cost.memory import peak_mib
from benchmarks.cost.report import SCHEMA, Row, limit_of, parameters
from benchmarks.cost.timing import against, interleave
from benchmarks.cost.variants import DEFAULT_TASKS, Subject, Task, Variants, count


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a run is done.

    Attributes:
        device: ``cpu`` or ``cuda``.
        threads: of torch on the CPU.
        rounds: at most.
        warmup: rounds before, not counted.
        budget_s: for each network's task.
        memory: measure the peaks of batches too, in processes of their own.
        tasks: what is timed.
    """

    device: str = "cpu"
    threads: int = 2
    rounds: int = 41
    warmup: int = 1
    budget_s: float = 75.0
    memory: bool = True
    tasks: tuple[Task, ...] = DEFAULT_TASKS


def measure(subjects: Iterable[Subject], plan: Plan) -> dict[str, Any]:
    """The report of a run."""
    before = torch.get_num_threads()
    torch.set_num_threads(plan.threads)
    try:
        networks = [_network(subject, plan) for subject in subjects]
    finally:
        torch.set_num_threads(before)
    device = torch.device(plan.device)
    return {
        "schema": SCHEMA,
        "machine": machine(device),
        "versions": versions(device),
        "settings": dataclasses.asdict(plan),
        "networks": networks,
    }


def _network(subject: Subject, plan: Plan) -> dict[str, Any]:
    # Memory first: its processes then have the machine to themselves.
    peaks = {(str(task), name): peak for task, name, peak in _peaks(subject, plan)}
    variants = Variants(subject, torch.device(plan.device))
    rows = [row for task in plan.tasks for row in _rows(variants, task, plan, peaks)]
    counts = parameters(
        count(variants.plain),
        count(variants.tunable),
        count(variants.low_rank),
        count(variants.published),
        variants.rank,
    )
    return {
        "name": subject.name,
        "options": subject.options,
        "parameters": counts,
        "rows": [row.to_dict() for row in rows],
    }


def _peaks(subject: Subject, plan: Plan) -> Iterable[tuple[Task, str, float]]:
    tasks = [task for task in plan.tasks if plan.memory and task.batch > 1]
    for task in tasks:
        for name in Variants(subject, torch.device(plan.device)).names(task):
            _say(f"{subject.name}, {task}, {name}: memory")
            yield task, name, peak_mib(subject, task, name, plan.device, plan.threads)


def _rows(variants: Variants, task: Task, plan: Plan, peaks: dict[tuple[str, str], float]) -> Sequence[Row]:
    _say(f"{variants.subject.name}, {task}: time")
    calls = {name: variants.call(task, name) for name in variants.names(task)}
    times = interleave(
        calls,
        device=variants.device,
        rounds=plan.rounds,
        warmup=plan.warmup,
        budget_s=plan.budget_s,
    )
    return [
        Row(
            task=str(task),
            variant=name,
            timing=timing,
            limit=limit_of(variants.subject.name, task, name),
            peak_mib=peaks.get((str(task), name)),
        )
        for name, timing in against(times).items()
    ]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
