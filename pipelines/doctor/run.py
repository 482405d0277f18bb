"""Select the checks of a stage or of a whole work tree, and run them concurrently with time limits."""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from threading import Thread

from pipelines.core.errors import ConfigError, is_expected
from pipelines.core.layout import Layout
from pipelines.doctor.cluster import check_cluster
from pipelines.doctor.data import check_inputs, check_prepared, check_sources, check_storage, check_streaming
from pipelines.doctor.disk import check_disk
from pipelines.doctor.local import (
    check_dvc,
    check_gpus,
    check_precision,
    check_shared_memory,
    check_threads,
    check_tracking,
    check_versions,
)
from pipelines.doctor.options import MODELS, Options, check_processes, read_options
from pipelines.doctor.report import Finding, Level

STAGES = tuple(MODELS)
CLUSTER_LIMIT_S = 60.0
"""To connect to a cluster, and for every node to answer."""


@dataclass(frozen=True)
class Check:
    """A check that is ready to run.

    Attributes:
        name: of its findings.
        run: gives the findings.
        limit_s: seconds after which it is abandoned.
        late: level of the finding that reports this.
    """

    name: str
    run: Callable[[], list[Finding]]
    limit_s: float = 10.0
    late: Level = "fault"


def examine_work_tree(layout: Layout, stage: str | None = None, processes: int = 1) -> Iterator[Finding]:
    """Find what would keep a stage from completing, each finding as soon as it is known.

    Args:
        layout: of the work tree.
        stage: one of ``STAGES``; None checks what any of them needs.
        processes: that torchrun will start for a training, on all nodes; 1 is training without it.

    Raises:
        ConfigError: an unknown stage.
    """
    if stage is not None and stage not in STAGES:
        raise ConfigError(f"unknown stage {stage!r}; expected one of {', '.join(STAGES)}")
    options, found = read_options(layout)
    yield from found
    # A search needs what its trainings need.
    yield from run_checks(list_checks(options, layout, "train" if stage == "search" else stage, processes))


def list_checks(options: Options, layout: Layout, stage: str | None, processes: int = 1) -> Iterator[Check]:
    """The checks of a stage, or all for None; those whose section does not parse are left out."""
    own = options.restrict_to(stage)

    def concerns(*stages: str) -> bool:
        return stage is None or stage in stages

    if concerns("train"):
        yield Check("versions", check_versions)
    if stage is None:
        yield Check("dvc", partial(check_dvc, layout))
    if own.prepare:
        yield Check("data", partial(check_sources, own.prepare, layout), late="warning")  # a long listing
    if concerns("train", "evaluate", "publish"):
        yield Check("data", partial(check_prepared, layout, options.prepare, options.train))
    if stage is not None:
        yield Check("data", partial(check_inputs, stage, layout))
    if own.train:
        yield Check("streaming", partial(check_streaming, layout, own.train), 20.0)
        if own.train.compute.storage:
            yield Check("storage", partial(check_storage, own.train.compute.storage), 20.0)
        yield Check("processes", partial(check_processes, own.train, processes))
    if concerns("prepare", "train", "evaluate", "publish"):
        yield Check("disk", partial(check_disk, own, layout))
    if concerns("train", "evaluate", "serve"):
        yield Check("threads", partial(check_threads, own))
        yield Check("gpus", partial(check_gpus, own), 20.0)
    if own.train and own.cluster is None:
        yield Check("precision", partial(check_precision, own.train))
    if concerns("train", "serve"):
        yield Check("memory", check_shared_memory)
    if concerns("train", "publish"):
        yield Check("tracking", partial(check_tracking, layout))
    if own.train and own.cluster:
        yield Check(
            "cluster", partial(check_cluster, own.cluster, own.train.compute, layout), CLUSTER_LIMIT_S
        )


def run_checks(checks: Iterable[Check]) -> Iterator[Finding]:
    """Run all checks at once; yields their findings in the order of the checks.

    A check that raises or exceeds its limit becomes a finding that says so.
    """
    started = [(check, time.monotonic() + check.limit_s, _start_check(check)) for check in checks]
    for check, deadline, found in started:
        try:
            yield from found.result(max(0.0, deadline - time.monotonic()))
        except TimeoutError:
            message = f"no answer within {check.limit_s:g} s"
            remedy = "look at what hangs: a network file system, a server or a driver"
            yield Finding(check.name, check.late, message, remedy)


def _start_check(check: Check) -> Future[list[Finding]]:
    future: Future[list[Finding]] = Future()

    def run() -> None:
        try:
            found = check.run()
        except Exception as error:  # a broken check does not keep the others from being reported
            found = [_describe_failure(check, error)]
        future.set_result(found)

    # A daemon, so that a call that hangs in the kernel, as on a dead NFS server, does not keep the process.
    Thread(target=run, name=f"check {check.name}", daemon=True).start()
    return future


def _describe_failure(check: Check, error: Exception) -> Finding:
    message = " ".join(str(error).split())
    if is_expected(error):
        return Finding.fault(check.name, message, "")
    remedy = "TUNABLE_DEBUG=1 with the stage itself shows the traceback"
    return Finding.fault(check.name, f"the check failed: {type(error).__name__}: {message}", remedy)
