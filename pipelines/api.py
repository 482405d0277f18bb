"""Training from Python: ``pipelines.train`` takes a network, a task and photographs of the caller's own.

It runs the stages ``prepare`` and ``train`` in a folder, so what holds for them holds here: the run resumes
from its last checkpoint, is tracked by MLflow, and shows its progress.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError
from pipelines.core.layout import Layout
from pipelines.core.locks import hold_lock
from pipelines.core.progress import tell
from pipelines.core.random_streams import stream_seed
from pipelines.core.records import read_json, write_json_atomic
from pipelines.core.torchrun import world_size
from pipelines.data.config import PrepareConfig
from pipelines.running.user_code import CodeWalker
from pipelines.stages import prepare as prepare_stage
from pipelines.stages import train as train_stage
from pipelines.tasks import GivenTask, Task, TaskOptions, get_task, list_tasks, make_task
from pipelines.training.config import TrainConfig
from pipelines.training.given_network import GivenNetwork
from tunable_models import ImageContract, TunableNetwork

SOURCE = "pipelines.train"

STAMP = "prepared.json"
"""In the folder's state: what ``artifacts/prepare`` was made of."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """The result of :func:`train`.

    Attributes:
        network: frozen, in evaluation mode, on the CPU; :func:`zoo.publish` takes it.
        task: its name.
        folder: of the run, with ``model.safetensors``, ``curve.csv`` and ``record.json`` in
            ``artifacts/train``, and the state it resumes from in ``.state``.
        record: what made the network.
    """

    network: TunableNetwork
    task: str
    folder: Path
    record: Mapping[str, Any]

    @property
    def provenance(self) -> dict[str, Any]:
        """What :func:`zoo.publish` may record of where the network comes from."""
        origin: dict[str, Any] = read_json(Layout(self.folder).train / "provenance.json")
        return origin | {"fingerprint": self.record["fingerprint"]}


def train(
    network: TunableNetwork | Callable[[], TunableNetwork],
    task: Task | TaskOptions | str,
    photos: str | Path,
    *,
    folder: str | Path,
    steps: int,
    contract: ImageContract | None = None,
    prepare: Mapping[str, Any] | None = None,
    compute: Mapping[str, Any] | None = None,
    accept_code_change: bool = False,
    **options: Any,
) -> Trained:
    """Train a tunable network of any class, in this process or on Ray.

    Called again with the same arguments it resumes an interrupted run, or returns the result of a complete
    one. Another network, task, option or photograph makes another run, and so does changed code of the
    network's or the task's classes and functions: those of an importable file count with that file and what
    it imports of its package, those of a script or notebook by themselves.

    Args:
        network: made by ``make_tunable(module, task.space)``; it is left as it is. A function that makes it
            is called with torch's generator seeded by the option ``seed``. A network that is random must
            begin the same each time for its run to resume: pass a function, or seed torch before.
        task: a :class:`~pipelines.tasks.Task`, such as a :class:`~pipelines.tasks.CustomTask` of a
            degradation and a loss; the options of a registered one; or its name.
        photos: where from, as ``prepare.source`` in ``params.yaml``: a folder, a public set or a URL. They
            are prepared once, and again when the files of that folder change; those of a URL do not count.
        folder: where everything is written; created if it is missing.
        steps: optimizer steps.
        contract: how images go through a network of no registered architecture; by default sides of any
            length, enlarged as the task says.
        prepare: further options of section ``prepare``.
        compute: options ``train.compute``; by default ``{"runner": "local"}``, this process. With
            ``{"runner": "ray", "workers": 2}`` classes and functions of scripts, notebooks and modules that
            are not installed are sent along.
        accept_code_change: resume the last run of the folder that differs in its code alone.
        **options: further options of section ``train``, such as ``batch_size``, ``patch_px``, ``seed`` and
            ``optimizer={"lr": 0.001}``.

    Raises:
        ConfigError: an option is unknown or invalid; the network does not fit the task; or torchrun started
            this process.
        DataError: there are no such photographs, or they are too small.
        TrainingError: the run failed.
        PipelineError: another process trains in the folder, and goes on for a minute and a half.
        Interrupted: Ctrl-C or SIGTERM; the last step has a checkpoint.
    """
    if world_size() > 1:
        raise ConfigError(
            f"torchrun started {world_size()} processes, {SOURCE} runs in one; say "
            "compute={'runner': 'ray', 'workers': N}, or register network and task and run the stage"
        )
    root = Path(folder).expanduser().resolve()
    layout = Layout(root)
    start, source = _make_start(network, options.get("seed", 0)), _find_source(photos)
    values = {
        **options,
        "task": _make_task_options(task),
        "steps": steps,
        "compute": {"runner": "local"} if compute is None else dict(compute),
    }
    config = _make_config(start, values, contract, root)
    prepared = parse_section({**(prepare or {}), "source": source}, "prepare", PrepareConfig, source=SOURCE)
    with hold_lock(layout.lock("train"), f"training in {root}", tell):
        _prepare_once(prepared, layout)
        train_stage.run(config, layout, accept_code_change=accept_code_change)
        return _read_result(config, layout)


def _make_start(network: Any, seed: Any) -> TunableNetwork:
    made = network
    if callable(network) and not isinstance(network, torch.nn.Module):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed(seed, "initialisation"))
            made = network()
    if not isinstance(made, TunableNetwork):
        raise ConfigError(
            f"{SOURCE}: expected a tunable network, got {type(made).__name__}; say "
            "make_tunable(module, task.space)"
        )
    if not any(parameter.requires_grad for parameter in made.parameters()):
        raise ConfigError(
            f"{SOURCE}: expected a network with tensors to train, all of this one's are frozen; to train one "
            "further say network.requires_grad_(True)"
        )
    return made


def _find_source(photos: str | Path) -> str:
    """The photographs as an option; a folder counts from the current one, not from that of the run."""
    place = Path(photos).expanduser()
    return str(place.resolve()) if isinstance(photos, Path) or place.is_dir() else photos


def _make_task_options(task: Task | TaskOptions | str) -> TaskOptions:
    """What stands for the task in the options: those of a registered one, or the task itself."""
    if isinstance(task, TaskOptions):
        return task
    if isinstance(task, str):
        return get_task(task).config_class(name=task)
    if not isinstance(task, Task):
        raise ConfigError(f"{SOURCE}: expected a task, its options or its name, got {type(task).__name__}")
    config = getattr(task, "config", None)
    if (
        isinstance(config, TaskOptions)
        and config.name in list_tasks()
        and get_task(config.name) is type(task)
    ):
        return config
    return GivenTask.of(task, CodeWalker().digest(task))


def _make_config(
    network: TunableNetwork, values: dict[str, Any], contract: ImageContract | None, root: Path
) -> TrainConfig:
    """The options of section ``train``, with the network itself."""
    task = make_task(values["task"], root)
    if contract is None:
        registered = network.spec.architecture
        contract = network.spec.contract if registered else ImageContract(scale=task.scale)
    code = CodeWalker(tensors=False).digest([network.spec, network])
    given = GivenNetwork.of(network, contract, code, CodeWalker().digest(network.state_dict()))
    given.spec(task.space)
    config = parse_section({**values, "network": given}, "train", TrainConfig, source=SOURCE)
    _check_output(network, contract, config.patch_px)
    return config


def _check_output(network: TunableNetwork, contract: ImageContract, patch_px: int) -> None:
    """Refuse a network whose output is not the size that its contract says."""
    side = patch_px // contract.scale
    device = network.device
    training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            output = network(
                torch.zeros(1, contract.channels, side, side, device=device), omega=network.omega()
            )
    finally:
        network.train(training)
    wanted = (1, contract.channels, patch_px, patch_px)
    got = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
    if got != wanted:
        raise ConfigError(
            f"{SOURCE}: expected the network to give {wanted} for an input of side {side} px, got {got}; say "
            "contract=ImageContract(scale=..., multiple=...) if it enlarges or wants other sides"
        )


def _prepare_once(config: PrepareConfig, layout: Layout) -> None:
    """Run the stage ``prepare``, unless its result is there and of the same files and options."""
    layout.state.mkdir(parents=True, exist_ok=True)
    path, stamp = layout.state / STAMP, _make_stamp(config)
    if path.is_file() and (layout.prepare / prepare_stage.RECORD).is_file() and read_json(path) == stamp:
        return
    path.unlink(missing_ok=True)
    prepare_stage.run(config, layout)
    write_json_atomic(path, stamp)


def _make_stamp(config: PrepareConfig) -> dict[str, Any]:
    files = {}
    for source in {config.source, config.test_source or config.source}:
        folder = Path(source)
        for file in sorted(folder.rglob("*")) if folder.is_dir() else ():
            status = file.stat()
            files[str(file)] = [status.st_size, status.st_mtime_ns]
    return {"options": config.model_dump(mode="json"), "files": files}


def _read_result(config: TrainConfig, layout: Layout) -> Trained:
    space = make_task(config.task, layout.root).space
    weights = safetensors.torch.load_file(layout.train / "model.safetensors")
    return Trained(
        network=config.network.load(space, weights),
        task=config.task.name,
        folder=layout.root,
        record=read_json(layout.train / "record.json"),
    )
