"""``pipelines.train``: networks, tasks and losses of a caller, in this process and on Ray."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import pipelines
import zoo
from pipelines.api import Trained
from pipelines.core.errors import ConfigError
from pipelines.core.records import read_json
from pipelines.tasks import NoiseLevel, NoiseLevelConfig
from tunable_models import (
    MSE,
    Architecture,
    BlendedLoss,
    ControlSpace,
    ImageContract,
    TunableNetwork,
    architectures,
    build,
    make_tunable,
    register_architecture,
)
from tunable_models.architectures.edsr import EDSR, EDSRConfig

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")
[EXAMPLE] = re.findall(r'^```python title="sharpen.py"\n(.*?)^```$', PAGE, flags=re.DOTALL | re.MULTILINE)

SPACE = ControlSpace.box("sharpness")
SMALL: dict[str, Any] = {
    "steps": 4,
    "batch_size": 4,
    "patch_px": 12,
    "log_every": 2,
    "checkpoint_every": 2,
    "prepare": {"min_side_px": 16, "license": "CC0-1.0"},
}
LICENSE = {"weights": "CC0-1.0", "data": "CC0-1.0"}


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)  # type: ignore[no-any-return]


class Halving(Net):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[..., ::2, ::2]


def make_net(space: ControlSpace = SPACE, kind: type[nn.Module] = Net) -> TunableNetwork:
    torch.manual_seed(0)
    return make_tunable(kind(), space)


def soften(clean: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    return {"input": clean + 0.1 * torch.randn(clean.shape, generator=generator)}


def make_task(degrade: Callable[..., Any] = soften) -> pipelines.Task:
    loss = BlendedLoss(SPACE, MSE(), ("input", "clean"))
    return pipelines.CustomTask("sharpen", space=SPACE, degrade=degrade, loss=loss)


@pytest.fixture
def folder(
    tmp_path: Path, migrated: Path, save: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The current folder, with photographs."""
    for index in range(3):
        save(tmp_path / "photos" / f"{index}.png", index)
    shutil.copy(migrated, tmp_path / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(network: Any, task: Any, **options: Any) -> Trained:
    return pipelines.train(network, task, "photos", folder="run", **(SMALL | options))


@pytest.mark.slow
@pytest.mark.usefixtures("patient_tracking")
def test_it_trains_resumes_and_tells_runs_apart(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = make_net()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    first = train(network, make_task())
    said = capsys.readouterr().out
    assert "step 4/4" in said
    assert "prepare:" in said
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert any(not torch.equal(tensor, before[name]) for name, tensor in first.network.state_dict().items())
    assert not any(parameter.requires_grad for parameter in first.network.parameters())
    assert (first.task, first.folder) == ("sharpen", folder / "run")
    assert first.record["architecture"] == {"id": "", "config": {}, "class": "Net"}
    assert len(first.provenance["mlflow_run_id"]) == 32
    with pytest.raises(zoo.ManifestError, match="register_architecture"):
        zoo.publish(first.network, name="sharp", task=first.task, license=LICENSE)

    again = train(make_net(), make_task())
    said = capsys.readouterr().out
    assert again.record == first.record
    assert "nothing to train" in said
    assert "prepare:" not in said

    torch.manual_seed(1)
    other = type("Net", (Net,), {"extra": 1})
    changes: list[tuple[str, dict[str, Any]]] = [
        (r"training code changed \(network Net\)", {"network": make_net(kind=other)}),
        (r"train.materials.network was \w+", {"network": make_tunable(Net(), SPACE)}),
        (r"training code changed \(task sharpen\)", {"task": make_task(lambda c, _: {"input": c * 0.5})}),
        ("train.seed was 0, is 1", {"seed": 1}),
    ]
    monkeypatch.setattr("pipelines.stages.train.launch_job", _refuse)
    for message, change in changes:
        values = {"network": make_net(), "task": make_task(), **change}
        with pytest.raises(Launched):
            train(values.pop("network"), values.pop("task"), **values)
        assert re.search(rf"starting clean.*since the last run .*{message}", capsys.readouterr().out), message


class Launched(Exception):
    pass


def _refuse(*_: object) -> None:
    raise Launched


@pytest.mark.slow
def test_a_registered_class_is_published(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(architectures._REGISTRY, "_registered", {})

    class Own(EDSR):
        pass

    register_architecture(
        Architecture(
            name="own", config_class=EDSRConfig, network=Own, contract_of=lambda _: ImageContract(radius_px=9)
        )
    )
    task = NoiseLevel(NoiseLevelConfig(max_sigma=25.0))
    trained = train(lambda: make_tunable(build("own", width=4, blocks=1), task.space), task)
    assert trained.record["architecture"]["id"] == "own"
    assert trained.record["task_config"] == {"name": "noise-level", "max_sigma": 25.0, "distance": "l1"}
    store = zoo.Store(folder / "store")
    zoo.publish(
        trained.network,
        name="own",
        task=trained.task,
        license=LICENSE,
        provenance=trained.provenance,
        store=store,
    )
    model = zoo.load("own", stores=[store])
    assert model(torch.rand(3, 9, 7), noise=5.0).shape == (3, 9, 7)
    assert read_json(trained.folder / "artifacts/train/record.json") == trained.record


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (Net(), {}, "make_tunable"),
        (make_net(ControlSpace.box("other")), {}, "sharpness 0 to 1.*other 0 to 1"),
        (make_net().requires_grad_(False), {}, "requires_grad_"),
        (make_net(kind=Halving), {}, r"\(1, 3, 12, 12\).*\(1, 3, 6, 6\)"),
        (make_net(), {"step": 3}, r"pipelines\.train: unknown key 'train\.step'; did you mean 'steps'"),
        (make_net(), {"prepare": {"test_photo": 3}}, r"unknown key 'prepare\.test_photo'"),
        (make_net(), {"compute": {"runner": "rays"}}, r"train\.compute\.runner"),
        (make_net(), {"batch_size": 3}, "multiple of sampling.group"),
        (make_net(), {"task": "sharpening"}, "unknown task 'sharpening'"),
        (make_net(), {"task": 3}, "a task, its options or its name"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    folder: Path, network: Any, options: dict[str, Any], message: str
) -> None:
    values = {"task": make_task(), **options}
    with pytest.raises(ConfigError, match=message):
        train(network, values.pop("task"), **values)
    assert not (folder / "run").exists()


def test_torchrun_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(ConfigError, match="torchrun started 2"):
        train(make_net(), make_task())


def test_the_package_is_light() -> None:
    assert set(pipelines.__all__) <= set(dir(pipelines))
    with pytest.raises(AttributeError, match="no_such_name"):
        pipelines.no_such_name  # noqa: B018


@pytest.mark.faults
@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.server
def test_the_program_of_the_manual_runs_here_and_on_ray(folder: Path, save: Callable[..., Path]) -> None:
    """The same run: what it computes does not depend on where, and a process has its code as another."""
    for index in range(3):
        save(folder / "photos" / f"{index}.png", index, 144, 160)
    (folder / "sharpen.py").write_text(EXAMPLE)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    runs = []
    for flags in ([], ["--ray"]):
        command = [sys.executable, "sharpen.py", *flags]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "torch.Size([1, 3, 48, 64])" in done.stdout
        runs.append(read_json(folder / "runs/sharpen/artifacts/train/record.json")["fingerprint"])
        [state] = (folder / "runs/sharpen/.state").glob("train-*")
        assert (state / "checkpoints" / "step-00000040").is_dir()
        for made in (state / "checkpoints", folder / "runs/sharpen/artifacts/train"):
            shutil.rmtree(made)  # so that the next one trains
    assert runs[0] == runs[1]
