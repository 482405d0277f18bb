"""Which checks a stage needs, and all of them for a work tree as a whole."""

from collections.abc import Iterator
from math import ceil

from pipelines.core.errors import ConfigError
from pipelines.core.layout import Layout
from pipelines.doctor import data, disk, gpus, home, ports, scratch, threads
from pipelines.doctor.bounded import Check, examine
from pipelines.doctor.finding import Finding
from pipelines.doctor.network import network_size
from pipelines.doctor.options import Options, read_options
from pipelines.doctor.precision import precision
from pipelines.doctor.processes import processes
from pipelines.doctor.streaming import streaming
from pipelines.doctor.tracking import tracking
from pipelines.doctor.versions import dvc, versions
from pipelines.training.config import TrainConfig

STAGES = ("prepare", "train", "search", "evaluate", "publish", "serve")

CLUSTER_LIMIT_S = 60.0
"""To connect, and for every node to answer."""


def findings(layout: Layout, stage: str | None = None, started: int = 1) -> Iterator[Finding]:
    """What can be said before a stage runs, each finding as soon as it is known.

    Args:
        layout: of the work tree.
        stage: one of ``STAGES``; None looks at all that concerns any of them.
        started: processes that torchrun will start for a training, on all nodes; 1 is training without it.

    Raises:
        ConfigError: an unknown stage.
    """
    if stage is not None and stage not in STAGES:
        raise ConfigError(f"unknown stage {stage!r}; expected one of {', '.join(STAGES)}")
    options, about_params = read_options(layout)
    yield from about_params
    # A search trains, so what training needs it needs.
    yield from examine(checks(options, layout, "train" if stage == "search" else stage, started))


def checks(options: Options, layout: Layout, stage: str | None, started: int = 1) -> list[Check]:
    """The checks of a stage, or all; those that need a section which does not parse are left out."""
    rows = [
        (("train",), Check("versions", versions)),
        ((), Check("dvc", lambda: dvc(layout))),
        (("prepare",), Check("data", lambda: _sources(options, layout), late="warning")),  # a long listing
        (("train", "evaluate", "publish"), Check("data", lambda: _data(options, layout, stage))),
        (("train",), Check("streaming", lambda: _streaming(options, layout), 20.0)),
        (("prepare", "train", "evaluate", "publish"), Check("disk", lambda: _disk(options, layout, stage))),
        (("train",), Check("processes", lambda: _processes(options, started))),
        (("train", "evaluate", "serve"), Check("threads", lambda: _threads(options, stage))),
        (("train", "evaluate", "serve"), Check("gpus", lambda: _gpus(options, stage), 20.0)),
        (("train",), Check("precision", lambda: _precision(options))),
        (("serve",), Check("ports", lambda: _ports(options, stage))),
        (("train", "serve"), Check("home", lambda: home.home() + home.token(_address(options)))),
        (("train", "serve"), Check("scratch", lambda: scratch.shared_memory() + scratch.temporary())),
        (("train", "publish"), Check("tracking", lambda: tracking(layout))),
        (("train",), Check("cluster", lambda: _cluster(options, layout), CLUSTER_LIMIT_S)),
    ]
    return [check for stages, check in rows if stage is None or stage in stages]


def _wanted(section: str, stage: str | None) -> bool:
    return stage in (None, section)


def _sources(options: Options, layout: Layout) -> list[Finding]:
    return data.sources(options.prepare, layout) if options.prepare else []


def _data(options: Options, layout: Layout, stage: str | None) -> list[Finding]:
    found = data.prepared(layout, options.prepare, options.train)
    return found + (data.inputs(stage, layout) if stage else [])


def _streaming(options: Options, layout: Layout) -> list[Finding]:
    return streaming(layout, options.train) if options.train else []


def _disk(options: Options, layout: Layout, stage: str | None) -> list[Finding]:
    needs: dict[str, int] = {}
    if options.prepare and _wanted("prepare", stage):
        needs["photographs"] = disk.photographs_bytes(options.prepare, layout)
    if options.train and _wanted("train", stage):
        network = network_size(options.train, layout.root)
        needs |= disk.run_bytes(network, options.train.compute.keep_checkpoints)
    return disk.writable(layout) + disk.room(layout, needs)


def _processes(options: Options, started: int) -> list[Finding]:
    return processes(options.train, started) if options.train else []


def _threads(options: Options, stage: str | None) -> list[Finding]:
    found: list[Finding] = []
    if options.train and _wanted("train", stage) and _address(options) is None:
        found += threads.training(options.train.compute)
    if options.evaluate and _wanted("evaluate", stage):
        found += threads.evaluation(options.evaluate)
    if options.serve and _wanted("serve", stage):
        found += threads.serving(options.serve)
    return found


def _gpus(options: Options, stage: str | None) -> list[Finding]:
    asked = {"none": 0}
    if options.train and _wanted("train", stage) and _address(options) is None:
        asked["train.compute.use_gpu"] = _training_gpus(options.train)
    if options.evaluate and _wanted("evaluate", stage):
        asked[f"evaluate.device {options.evaluate.device}"] = int(options.evaluate.device.startswith("cuda"))
    if options.serve and _wanted("serve", stage):
        asked["serve.num_gpus"] = ceil(options.serve.num_gpus * options.serve.replicas)
    why = max(asked, key=lambda name: asked[name])
    return gpus.gpus(asked[why], why)


def _precision(options: Options) -> list[Finding]:
    return precision(options.train) if options.train and _address(options) is None else []


def _training_gpus(train: TrainConfig) -> int:
    compute = train.compute
    workers = compute.least_workers if compute.runner == "ray" else 1
    return workers if compute.use_gpu else 0


def _ports(options: Options, stage: str | None) -> list[Finding]:
    return ports.endpoint(options.serve, needed=stage == "serve") if options.serve else []


def _cluster(options: Options, layout: Layout) -> list[Finding]:
    address = _address(options)
    if address is None or options.train is None:
        return []
    from pipelines.doctor.cluster import cluster  # needs Ray, which a private machine may do without

    return cluster(address, options.train.compute, layout)


def _address(options: Options) -> str | None:
    if options.train is None or options.train.compute.runner != "ray":
        return None
    return ports.cluster_address(options.train.compute.address)
