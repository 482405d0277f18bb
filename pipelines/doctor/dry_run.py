"""``--dry-run``: print what a stage would do, and check what it needs."""

from collections.abc import Iterator

from pipelines.core.errors import DataError, is_expected
from pipelines.core.layout import Layout
from pipelines.data.photos import PhotoSet
from pipelines.doctor.disk import measure_network
from pipelines.doctor.options import cluster_address, read_options
from pipelines.doctor.report import Finding, print_findings
from pipelines.doctor.run import examine_work_tree
from pipelines.running.run import Run
from pipelines.search.plan import describe_search
from pipelines.search.search import Search
from pipelines.tracking import shown_uri
from pipelines.training.config import ComputeConfig, TrainConfig

ALL = "all"


def dry_run(stage: str, layout: Layout) -> bool:
    """Print the plan of a training or a search, and the findings about any stage, without running it.

    The nodes of a cluster answer through a file in the work tree, which is removed.

    Args:
        stage: of the pipeline, or ``all``.
        layout: of the work tree.

    Returns:
        Whether there is no fault.

    Raises:
        ConfigError: an unknown stage.
    """
    found: list[Finding] = []
    options, _ = read_options(layout)
    if options.train is not None and stage in ("train", ALL):
        found += _print_plan(describe_training(options.train, layout))
    if options.train is not None and options.search is not None and stage == "search":
        search = Search(config=options.search, base=options.train, layout=layout)
        found += _print_plan(describe_search(search, cluster_address(options.train.compute.address)))
    return print_findings([*found, *examine_work_tree(layout, None if stage == ALL else stage)])


def describe_training(config: TrainConfig, layout: Layout) -> Iterator[str]:
    """Lines about a run: its identity, where it starts, what it computes on what, where its files are.

    Nothing is written. Checkpoints are read, to know that they are whole.

    Args:
        config: of the run.
        layout: of the work tree.

    Raises:
        CheckpointError: the run has checkpoints, and all are damaged.
        DataError: a file that the options name is missing, or the storage of checkpoints cannot be reached.
    """
    yield from _describe_run(config, layout)
    size = measure_network(config, layout.root)
    trained = "" if size.trained == size.parameters else f", {size.trained / 1e6:.3f} M of them trained"
    yield f"network     {config.network.architecture}, {size.parameters / 1e6:.3f} M parameters{trained}"
    yield f"precision   {config.precision}"
    yield f"steps       {config.steps} of {config.batch_size} patches of {config.patch_px} px"
    yield f"workers     {_describe_workers(config.compute)}"
    yield f"artefacts   {layout.train}"
    yield f"tracking    {shown_uri(layout.root)}"


def _describe_run(config: TrainConfig, layout: Layout) -> Iterator[str]:
    try:
        photos = PhotoSet.open(layout.prepare / "train")
    except DataError:
        yield "run         unknown until photographs are prepared"
        return
    run = Run.of(config, photos, layout)
    notes: list[str] = []
    step = run.store.newest(notes.append)
    yield f"run         {run.identity[:16]}, of these options, photographs and code"
    copied = run.store.newest_copy()
    if copied is not None and copied > (step or 0):
        step = copied
        notes.append(f"fetched from {config.compute.storage} first")
    yield f"begins      {_describe_start(step, config.steps)}"
    yield from (f"            {note}" for note in notes)
    yield f"state       {run.folder}"


def _describe_start(step: int | None, steps: int) -> str:
    if step is None:
        return "at the start: this run has no checkpoint yet"
    if step >= steps:
        return f"at its end: step {step} of {steps} is done, only artefacts are written"
    return f"at step {step} of {steps}, from its newest whole checkpoint"


def _describe_workers(compute: ComputeConfig) -> str:
    device = "GPU" if compute.use_gpu else "CPU"
    if compute.runner == "local":
        return f"this process, or those of torchrun, with {compute.threads} threads each, on the {device}"
    least, most = compute.least_workers, compute.most_workers
    count = f"{least}" if least == most else f"{least} to {most}"
    cluster = cluster_address(compute.address) or "a private Ray cluster"
    return f"{count} x {compute.threads} threads, on the {device}, in {cluster}"


def _print_plan(lines: Iterator[str]) -> list[Finding]:
    """Print the plan; a known error becomes a finding."""
    try:
        print(*lines, sep="\n", end="\n\n", flush=True)
    except Exception as error:
        if not is_expected(error):
            raise
        return [Finding.fault("plan", str(error), "")]
    return []
