"""Checks of this machine: packages, DVC, tracking, CPU threads, GPUs, precision and shared memory."""

import os
import platform
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib.metadata import PackageNotFoundError, requires, version
from math import ceil
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import torch
from packaging.requirements import Requirement

from pipelines.core.layout import Layout
from pipelines.doctor.options import Options
from pipelines.doctor.report import Finding, format_bytes
from pipelines.tracking import tracking_uri
from pipelines.tracking.server import redact_credentials
from pipelines.training.config import TrainConfig
from pipelines.training.learner import suggest_precision

PACKAGE = "tunable-zoo"
EXTRAS = ("", "pipelines")
"""What the stages need; commands that need another extra ask for it themselves."""
SHOWN_PACKAGES = ("torch", "ray", "mlflow", "dvc")

TRACKING_TIMEOUT_S = 3.0
SQLITE = "sqlite:///"

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"

SHARED_MEMORY = Path("/dev/shm")
MIN_SHARED_MEMORY = 256 * 10**6
"""Bytes. A container of Docker has 64 MiB by default: too little for Ray's objects, loaders and NCCL."""


def check_versions() -> list[Finding]:
    """Compare installed packages with the requirements of this one."""
    try:
        requirements = list(_list_requirements())
    except PackageNotFoundError:
        message = f"{PACKAGE} is not installed, so its requirements are unknown"
        return [Finding.warning("versions", message, "pip install -e .")]
    faults = [fault for requirement in requirements if (fault := _check_requirement(requirement))]
    shown = ", ".join(f"{name} {found}" for name in SHOWN_PACKAGES if (found := _installed_version(name)))
    whole = f"Python {platform.python_version()}, {shown}; {len(requirements)} requirements are met"
    return faults or [Finding.ok("versions", whole)]


def _list_requirements() -> Iterator[Requirement]:
    for text in requires(PACKAGE) or []:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in EXTRAS):
            yield requirement


def _check_requirement(requirement: Requirement) -> Finding | None:
    remedy = f"pip install '{requirement.name}{requirement.specifier}'"
    found = _installed_version(requirement.name)
    if found is None:
        return Finding.fault("versions", f"{requirement.name} is not installed", remedy)
    if not requirement.specifier.contains(found, prereleases=True):
        message = f"expected {requirement.name}{requirement.specifier}, found {found}"
        return Finding.fault("versions", message, remedy)
    return None


def _installed_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def check_dvc(layout: Layout) -> list[Finding]:
    """Check that DVC can run the stages of a work tree that has a ``dvc.yaml``."""
    stages = layout.root / "dvc.yaml"
    if not stages.exists():
        return [Finding.ok("dvc", "no dvc.yaml; run all stages with: tunable run all")]
    calls = stages.read_text(encoding="utf-8", errors="replace")
    needed = ["dvc", *(["tunable"] if "tunable run" in calls else [])]
    missing = [command for command in needed if shutil.which(command) is None]
    if missing:
        message = f"dvc.yaml needs commands that are not on PATH: {', '.join(missing)}"
        return [Finding.warning("dvc", message, "activate the environment where they are installed")]
    if not (layout.root / ".dvc").is_dir():
        return [Finding.warning("dvc", "found dvc.yaml without a .dvc folder", "run: dvc init")]
    return []


def check_tracking(layout: Layout) -> list[Finding]:
    """Check that the MLflow server answers, or that the database can be opened."""
    uri = tracking_uri(layout.root)
    if uri.startswith(SQLITE):
        return [_check_database(Path(uri.removeprefix(SQLITE)))]
    if urlsplit(uri).scheme in ("http", "https"):
        return [_check_server(uri)]
    return [Finding.ok("tracking", f"not checked: {urlsplit(uri).scheme or 'file'} address")]


def _check_database(path: Path) -> Finding:
    if not path.exists():
        return Finding.ok("tracking", f"{path} will be created")
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True)) as database:
            database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        remedy = f"training continues without tracking; move {path.name} away"
        return Finding.warning("tracking", f"{path}: {error}", remedy)
    return Finding.ok("tracking", f"{path} can be opened")


def _check_server(uri: str) -> Finding:
    place, shown = urlsplit(uri), redact_credentials(uri)
    remedy = "training continues without tracking; start the server, or correct MLFLOW_TRACKING_URI"
    bare = f"{place.scheme}://{place.netloc.rpartition('@')[2]}{place.path.rstrip('/')}"
    try:
        with urlopen(f"{bare}/health", timeout=TRACKING_TIMEOUT_S):
            return Finding.ok("tracking", f"{shown} answers")
    except HTTPError as error:
        if error.code in (401, 403):  # no password was sent
            return Finding.ok("tracking", f"{shown} answers, and asks for a login")
        return Finding.warning("tracking", f"{shown}/health: expected status 200, got {error.code}", remedy)
    except OSError as error:
        return Finding.warning("tracking", f"{shown}: {getattr(error, 'reason', error)}", remedy)


def check_threads(options: Options) -> list[Finding]:
    """Compare the threads that each section asks for with the cores of this process."""
    needs: list[tuple[str, int, int, str]] = []  # section, processes, threads of each, options to lower
    if options.train and options.cluster is None:
        compute = options.train.compute
        workers = compute.most_workers if compute.runner == "ray" else 1
        remedy = "train.compute.workers, threads or loaders"
        needs.append(("train", workers, compute.threads + compute.loaders, remedy))
    if options.evaluate:
        needs.append(("evaluate", 1, options.evaluate.threads, "evaluate.threads"))
    if options.serve:
        replicas, threads = options.serve.replicas, options.serve.threads
        needs.append(("serve", replicas, threads, "serve.replicas or serve.threads"))
    found, cores = [], count_cores()
    for section, processes, threads, remedy in needs:
        message = f"{section}: {processes} x {threads} threads on {cores} cores"
        if processes * threads <= cores:
            found.append(Finding.ok("threads", message))
        else:
            found.append(Finding.warning("threads", f"{message} slow each other", f"lower {remedy}"))
    return found


def count_cores() -> int:
    """Cores that this process may use: its CPU affinity, or the quota of its container if that is lower."""
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = CPU_QUOTA.read_text(encoding="ascii").split()
        return min(allowed, max(1, int(quota) // int(period)))
    except (OSError, ValueError):  # without a quota the file says "max"
        return allowed


def check_gpus(options: Options) -> list[Finding]:
    """Compare the GPUs that the sections ask for with those that torch sees."""
    needs = {"none": 0}
    if options.train and options.cluster is None and options.train.compute.use_gpu:
        compute = options.train.compute
        needs["train.compute.use_gpu"] = compute.least_workers if compute.runner == "ray" else 1
    if options.evaluate and options.evaluate.device.startswith("cuda"):
        needs["evaluate.device"] = 1
    if options.serve:
        needs["serve.num_gpus"] = ceil(options.serve.num_gpus * options.serve.replicas)
    option, needed = max(needs.items(), key=lambda need: need[1])
    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if available < needed:
        message = f"{option}: expected {needed} GPUs, torch sees {available}; {_explain_missing_gpu()}"
        remedy = f"set {VISIBLE_GPUS}, install the driver, or change {option}"
        return [Finding.fault("gpus", message, remedy)]
    if available == 0:
        return [Finding.ok("gpus", "none requested, and torch sees none")]
    unused = [] if needed else [Finding.ok("gpus", "none requested: train.compute.use_gpu is false")]
    return [*unused, *(Finding.ok("gpus", _describe_gpu(index)) for index in range(available))]


def _describe_gpu(index: int) -> str:
    free, total = torch.cuda.mem_get_info(index)
    major, minor = torch.cuda.get_device_capability(index)
    memory = f"{format_bytes(free)} of {format_bytes(total)} free"
    return f"{torch.cuda.get_device_name(index)}, capability {major}.{minor}, {memory}"


def _explain_missing_gpu() -> str:
    visible = os.environ.get(VISIBLE_GPUS)
    if torch.version.cuda is None and torch.version.hip is None:
        return "this build of torch supports the CPU alone"
    return "see nvidia-smi for the driver" if visible is None else f"{VISIBLE_GPUS} is {visible!r}"


def check_precision(config: TrainConfig) -> list[Finding]:
    """Check that the hardware computes natively in the precision of a training, and in no faster one."""
    if config.compute.use_gpu and config.precision == "bfloat16" and _emulates_bfloat16():
        message = f"{torch.cuda.get_device_name(0)} has no native bfloat16, and emulates it slowly"
        return [Finding.warning("precision", message, "set train.precision to float16 or float32")]
    if suggestion := suggest_precision(config):
        return [Finding.warning("precision", *suggestion)]
    return [Finding.ok("precision", f"training in {config.precision}")]


def _emulates_bfloat16() -> bool:
    return torch.cuda.is_available() and not torch.cuda.is_bf16_supported(including_emulation=False)


def check_shared_memory(folder: Path = SHARED_MEMORY) -> list[Finding]:
    """Check that shared memory is larger than Docker's default."""
    total = shutil.disk_usage(folder).total if folder.is_dir() else 0
    message = f"{folder} holds {format_bytes(total)}"
    if total >= MIN_SHARED_MEMORY:
        return [Finding.ok("memory", message)]
    message += f", expected at least {format_bytes(MIN_SHARED_MEMORY)}: Ray, loaders and NCCL need it"
    return [Finding.warning("memory", message, "start the container with --shm-size=8g, or --ipc=host")]
