import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from PIL import Image

from pipelines.core.config import parse_section
from pipelines.core.errors import DataError
from pipelines.core.layout import Layout
from pipelines.core.records import sha256_file
from pipelines.core.signals import Interrupted
from pipelines.core.trained import load_trained
from pipelines.data.photos import write_photos
from pipelines.stages.train import run
from pipelines.tracking import EXPERIMENT, tracking_uri
from pipelines.training.config import TrainConfig
from pipelines.training.samples import Samples
from tiny_tasks import tiny_config
from tunable_models import TunableNetwork, build

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("database", "patient_tracking")]

DETERMINISTIC = ("model.safetensors", "curve.csv", "record.json")


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)


def artefacts(layout: Layout) -> dict[str, bytes]:
    return {name: (layout.train / name).read_bytes() for name in DETERMINISTIC}


def watched(layout: Layout) -> tuple[bytes, bytes]:
    return (layout.train / "validation.csv").read_bytes(), layout.train_metrics.read_bytes()


def test_a_run_leaves_a_loadable_network_and_the_same_bytes_again(
    config: TrainConfig,
    layout: Layout,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "rusty-lamp")
    monkeypatch.setenv("MLFLOW_RUN_NAME", "first try")
    run(config, layout)
    first = artefacts(layout)
    network, record = load_trained(layout)
    assert network.space.names == ("denoise", "deblur")
    assert record["steps"] == 6
    assert record["scale"] == 1
    assert record["task_config"]["noise_sigma"] == [25.0, 25.0]
    assert record["architecture"]["config"] == config.network.options()
    assert (record["basis"], record["rank"], record["train"]) == ("delta", None, "all")
    assert (record["include"], record["exclude"], record["materials"]) == (None, [], {})
    assert str(tmp_path) not in json.dumps(record)
    assert "step 6/6" in capsys.readouterr().out

    client = MlflowClient(tracking_uri(tmp_path))
    experiment = client.get_experiment_by_name(EXPERIMENT)
    [tracked] = client.search_runs([experiment.experiment_id])
    assert tracked.info.status == "FINISHED"
    assert tracked.data.params["optimizer.lr"] == "0.002"
    assert [point.step for point in client.get_metric_history(tracked.info.run_id, "train/loss")] == [2, 4, 6]
    assert {"train/loss", "train/lr", "train/progress/grad_norm", "train/progress/epoch"} <= set(
        tracked.data.metrics
    )
    pictures = [item.path for item in client.list_artifacts(tracked.info.run_id, "images")]
    assert len(pictures) == 6  # in full, and small
    (data,) = tracked.inputs.dataset_inputs
    assert data.dataset.digest == record["photos"]["sha256"][:36]
    assert tracked.data.tags["data_sha256"] == record["photos"]["sha256"]
    assert tracked.data.tags["parameters"] == str(sum(p.numel() for p in network.parameters()))
    assert tracked.data.tags["dvc.experiment"] == "rusty-lamp"
    assert tracked.info.run_name == "first try"

    # Lost artefacts come back from the last checkpoint, under the same tracked run.
    for name in DETERMINISTIC:
        (layout.train / name).unlink()
    layout.train_metrics.unlink()
    run(config, layout)
    assert artefacts(layout) == first
    assert len(client.search_runs([experiment.experiment_id])) == 1
    # No photographs are held out here.
    table, metrics = watched(layout)
    assert (table, list(json.loads(metrics))) == (b"step,loss,psnr\n", ["train"])


def test_the_last_validation_is_a_metric_and_each_a_row(config: TrainConfig, layout: Layout) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    write_photos(layout.prepare / "validation", [("held.png", pixels)])
    watching = parse_section(
        config.model_dump() | {"validation": {"every": 4, "crop_px": 16}}, "train", TrainConfig
    )
    run(watching, layout)
    first = watched(layout)
    metrics = json.loads(first[1])
    [*_, last] = (layout.train / "curve.csv").read_text().splitlines()
    assert metrics["train"] == {"loss": float(last.split(",")[1])}
    head, *rows = first[0].decode().splitlines()
    assert (head, [row.split(",")[0] for row in rows]) == ("step,loss,psnr", ["4", "6"])
    _, loss, psnr = rows[-1].split(",")
    assert metrics["validation"] == {"loss": float(loss), "psnr": float(psnr)}
    shutil.rmtree(layout.state)
    shutil.rmtree(layout.train)
    run(watching, layout)
    assert watched(layout) == first


def test_a_colleagues_artefacts_of_the_same_run_are_left_as_they_are(
    config: TrainConfig, layout: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    run(config, layout)
    first = artefacts(layout)
    shutil.rmtree(layout.state)  # which no colleague gets
    other_machine = {"compute": {"runner": "local", "threads": 2}, "log_every": 3, "checkpoint_every": 3}
    elsewhere = parse_section(config.model_dump() | other_machine, "train", TrainConfig)
    capsys.readouterr()
    run(elsewhere, layout)
    assert "nothing to train" in capsys.readouterr().out
    assert not layout.state.exists()
    assert artefacts(layout) == first

    (layout.train / "model.safetensors").write_bytes(b"damaged")
    run(config, layout)
    assert "step 6/6" in capsys.readouterr().out
    assert artefacts(layout) == first


def test_other_options_start_clean(config: TrainConfig, layout: Layout) -> None:
    run(config, layout)
    first = artefacts(layout)
    run(config.model_copy(update={"seed": 1}), layout)
    assert all(artefacts(layout)[name] != first[name] for name in DETERMINISTIC)
    assert len(list(layout.state.glob("train-*"))) == 2


def test_what_comes_from_outside_is_recorded_and_makes_another_run(
    config: TrainConfig, layout: Layout, tmp_path: Path
) -> None:
    for name, colour in (("one", "red"), ("two", "blue")):
        Image.new("RGB", (40, 40), colour).save(tmp_path / f"{name}.png")
    options = config.model_dump() | {
        "task": tiny_config("style-transfer", styles={"one": "one.png", "two": "two.png"}).model_dump(),
        "network": {"architecture": "stylenet", "config": {"width": 2, "blocks": 1}, "rank": 1},
    }
    styles = parse_section(options, "train", TrainConfig)
    run(styles, layout)
    record = json.loads((layout.train / "record.json").read_text())
    assert set(record["materials"]) == {"trunk", "style one", "style two"}
    assert "seeded random" in record["materials"]["trunk"]
    assert record["rank"] == 1
    assert record["task_config"]["styles"] == {"one": "one.png", "two": "two.png"}
    assert str(tmp_path) not in json.dumps(record)
    Image.new("RGB", (40, 40), "green").save(tmp_path / "two.png")
    run(styles, layout)
    assert json.loads((layout.train / "record.json").read_text())["fingerprint"] != record["fingerprint"]


def test_a_checkpoint_to_start_from_is_recorded_and_not_needed_later(
    config: TrainConfig, layout: Layout, tmp_path: Path
) -> None:
    start = tmp_path / "start.pth"
    network = {**config.network.model_dump(), "train": "deltas", "start": "start.pth"}
    warm = parse_section(config.model_dump() | {"network": network}, "train", TrainConfig)
    with pytest.raises(DataError, match=r"start\.pth, found no such file"):
        run(warm, layout)
    fingerprints = set()
    for seed in (1, 2):
        torch.manual_seed(seed)
        plain = build("edsr", width=4, blocks=1)
        torch.save(plain.state_dict(), start)
        run(warm, layout)
        start.rename(tmp_path / "away.pth")
        trained, record = load_trained(layout)
        assert record["materials"] == {"start": sha256_file(tmp_path / "away.pth")}
        fingerprints.add(record["fingerprint"])
        # Deltas alone were trained: where the sliders are at 0, the network is what it was.
        x = torch.rand(1, 3, 8, 8)
        torch.testing.assert_close(trained.at(denoise=0.0, deblur=0.0)(x), plain.eval()(x))
        assert not torch.allclose(trained.at(denoise=1.0, deblur=1.0)(x), plain(x))
    assert len(fingerprints) == 2


def test_an_interrupted_run_is_marked_and_goes_on(
    config: TrainConfig,
    layout: Layout,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    real = Samples.__call__

    def interrupt(self: Samples, step: int, network: TunableNetwork) -> None:
        real(self, step, network)
        if step == 2:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(Samples, "__call__", interrupt)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Interrupted) as caught:
        run(config, layout)
    assert caught.value.exit_code == 143
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    client = MlflowClient(tracking_uri(layout.root))
    experiment = client.get_experiment_by_name(EXPERIMENT).experiment_id
    assert client.search_runs([experiment])[0].info.status == "KILLED"
    assert not (layout.train / "record.json").exists()

    monkeypatch.setattr(Samples, "__call__", real)
    run(config, layout)
    assert "resuming from step 3" in capsys.readouterr().out
    assert client.search_runs([experiment])[0].info.status == "FINISHED"
    assert (layout.train / "curve.csv").read_text().count("\n") == 4


def test_without_photographs_it_says_what_to_run(config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="dvc repro"):
        run(config, Layout(tmp_path / "empty"))
