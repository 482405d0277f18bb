from pathlib import Path

import pytest
import torch
from mlflow import MlflowClient
from PIL import Image

import zoo
from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError, DataError
from pipelines.core.layout import Layout
from pipelines.core.records import read_json, write_json_atomic
from pipelines.publish.config import PublishConfig
from pipelines.publish.gates import RequireConfig
from pipelines.stages.publish import run
from pipelines.tracking import tracking_uri
from pipelines.tracking.registry import CANDIDATE
from tunable_models import TunableNetwork

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("database")]


@pytest.fixture
def finished(trained: Layout, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """All that publishing reads."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{trained.root}/mlflow.db")
    monkeypatch.chdir(trained.root)
    record = read_json(trained.train / "record.json")
    more = {
        "description": "Two sliders.",
        "steps": 3,
        "options": {"seed": 0},
        "photos": {},
        "fingerprint": "f",
    }
    write_json_atomic(trained.train / "record.json", record | more)
    write_json_atomic(trained.prepare / "record.json", {"license": "CC0-1.0"})
    write_json_atomic(trained.summary, {"psnr_input": 20.0, "best": {"is_all_on": True}})
    write_json_atomic(trained.metrics, {"test": {"psnr": 25.0}})
    Image.new("RGB", (8, 8)).save(trained.evaluate / "sliders.png")
    return trained


def test_a_published_entry_loads_and_gives_the_networks_output(
    finished: Layout, network: TunableNetwork
) -> None:
    path, names = finished.train / "record.json", network.tunable_names
    write_json_atomic(path, read_json(path) | {"rank": None, "include": names, "exclude": []})
    run(PublishConfig(name="two-sliders"), finished)
    model = zoo.load("two-sliders", stores=[zoo.Store(finished.store)])
    image = torch.rand(3, 16, 16)
    expected = network.at(denoise=0.3, deblur=0.6)(image[None])[0].clamp(0, 1)
    torch.testing.assert_close(model(image, denoise=0.3, deblur=0.6), expected)
    assert (model.manifest.rank, model.manifest.include, model.manifest.exclude) == (None, tuple(names), ())
    assert model.manifest.license.data == "CC0-1.0"
    assert model.manifest.metrics["summary"]["psnr_input"] == 20.0  # type: ignore[index,call-overload]
    receipt = read_json(finished.publish / "receipt.json")
    assert (receipt["name"], receipt["version"]) == ("two-sliders", model.version)


def test_publishing_again_is_the_same_entry_and_other_weights_another(finished: Layout) -> None:
    run(PublishConfig(), finished)
    receipt = (finished.publish / "receipt.json").read_bytes()
    write_json_atomic(finished.train / "provenance.json", {"host": "elsewhere"})
    run(PublishConfig(), finished)
    assert (finished.publish / "receipt.json").read_bytes() == receipt
    run(PublishConfig(license_note="Research only."), finished)
    store = zoo.Store(finished.store)
    assert len(store.versions("denoise-deblur")) == 2
    assert store.open("denoise-deblur").manifest.license.note == "Research only."


def test_licences_of_many_photographs_fit(finished: Layout) -> None:
    stated = "; ".join(f"{number}.png: CC-BY-4.0 (An Author)" for number in range(40))
    write_json_atomic(finished.prepare / "record.json", {"license": stated})
    run(PublishConfig(), finished)
    assert zoo.Store(finished.store).open("denoise-deblur").manifest.license.data == stated


@pytest.mark.parametrize("option", [{"weights_license": "x" * 201}, {"license_note": "x" * 2001}])
def test_what_no_entry_holds_is_refused_before_any_stage(option: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="publish"):
        parse_section(option, "publish", PublishConfig)


def test_the_entry_is_registered_with_mlflow(finished: Layout, caplog: pytest.LogCaptureFixture) -> None:
    run(PublishConfig(), finished)
    assert "tracking" not in caplog.text
    client = MlflowClient(tracking_uri(finished.root))
    version = client.get_model_version_by_alias("denoise-deblur", CANDIDATE)
    zoo_version = read_json(finished.publish / "receipt.json")["version"]
    assert version.tags["zoo_version"] == zoo_version
    assert client.get_run(version.run_id).data.metrics["test/psnr"] == 25.0
    assert "denoise" in version.description
    files = {Path(item.path).name for item in client.list_artifacts(version.run_id, f"entry/{zoo_version}")}
    assert {"manifest.json", "model.safetensors"} <= files


def test_publishing_does_not_need_the_tracker(
    finished: Layout, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////dev/null/mlflow.db")
    run(PublishConfig(), finished)
    assert "tunable track" in caplog.text
    assert (finished.publish / "receipt.json").exists()


@pytest.mark.parametrize("missing", ["evaluate", "prepare"])
def test_what_is_missing_is_named(finished: Layout, missing: str) -> None:
    path = finished.summary if missing == "evaluate" else finished.prepare / "record.json"
    path.unlink()
    with pytest.raises(DataError, match="dvc repro"):
        run(PublishConfig(), finished)


def test_further_files_are_part_of_the_entry(finished: Layout) -> None:
    (finished.root / "authors.csv").write_text("photograph,author\n")
    run(PublishConfig(files={"attributions.csv": "authors.csv"}), finished)
    entry = zoo.Store(finished.store).open("denoise-deblur")
    assert entry.contents()["attributions.csv"] == b"photograph,author\n"
    for name, place in (("attributions.csv", "none.csv"), ("preview.png", "authors.csv")):
        with pytest.raises(DataError, match=r"publish\.files"):
            run(PublishConfig(files={name: place}), finished)


def test_a_network_that_misses_a_gate_leaves_nothing(finished: Layout) -> None:
    before = sorted(finished.root.rglob("*"))
    config = PublishConfig(require=RequireConfig(gain_db=4))
    write_json_atomic(finished.summary, {"gain_db": {"over_input": 3.9}})
    with pytest.raises(DataError, match=r"3\.9 dB \(gain_db\)"):
        run(config, finished)
    assert sorted(finished.root.rglob("*")) == before
    write_json_atomic(finished.summary, {"gain_db": {"over_input": 4.0}})
    run(config, finished)
    assert (finished.publish / "receipt.json").exists()
