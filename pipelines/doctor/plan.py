"""What a training would do, said without doing it."""

from collections.abc import Iterator

from pipelines.core.errors import DataError
from pipelines.core.layout import Layout
from pipelines.data.photos import PhotoSet
from pipelines.doctor.network import network_size
from pipelines.doctor.ports import cluster_address
from pipelines.running.run import Run
from pipelines.tracking import shown_uri
from pipelines.training.config import ComputeConfig, TrainConfig


def plan(config: TrainConfig, layout: Layout) -> Iterator[str]:
    """Lines about a run: which it is, where it begins, what it computes on what, where things go.

    Nothing is written. Checkpoints are read, to know that they are whole.

    Args:
        config: of the run.
        layout: of the work tree.

    Raises:
        CheckpointError: the run has checkpoints, and all are damaged.
        DataError: a file that the options name is missing.
    """
    yield from _run(config, layout)
    size = network_size(config, layout.root)
    trained = "" if size.trained == size.parameters else f", {size.trained / 1e6:.3f} M of them trained"
    yield f"network     {config.network.architecture}, {size.parameters / 1e6:.3f} M parameters{trained}"
    yield f"precision   {config.precision}"
    yield f"steps       {config.steps} of {config.batch_size} patches of {config.patch_px} px"
    yield f"workers     {_workers(config.compute)}"
    yield f"artefacts   {layout.train}"
    yield f"tracking    {shown_uri(layout.root)}"


def _run(config: TrainConfig, layout: Layout) -> Iterator[str]:
    try:
        photos = PhotoSet.open(layout.prepare / "train")
    except DataError:
        yield "run         not known before photographs are prepared"
        return
    run = Run.of(config, photos, layout)
    notes: list[str] = []
    step = run.store.newest(notes.append)
    yield f"run         {run.identity[:16]}, of these options, photographs and code"
    yield f"begins      {_beginning(step, config.steps)}"
    yield from (f"            {note}" for note in notes)
    yield f"state       {run.folder}"


def _beginning(step: int | None, steps: int) -> str:
    if step is None:
        return "at the start: this run has no checkpoint yet"
    if step >= steps:
        return f"at its end: step {step} of {steps} is done, only artefacts are written"
    return f"at step {step} of {steps}, from its newest whole checkpoint"


def _workers(compute: ComputeConfig) -> str:
    device = "GPU" if compute.use_gpu else "CPU"
    if compute.runner == "local":
        return f"this process, or those of torchrun, with {compute.threads} threads each, on the {device}"
    least, most = compute.least_workers, compute.most_workers
    count = f"{least}" if least == most else f"{least} to {most}"
    where = cluster_address(compute.address) or "a private Ray cluster"
    return f"{count} x {compute.threads} threads, on the {device}, in {where}"
