from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation import empty_hub, one_thread, small_config, write_scenes

from pipelines.core.errors import ConfigError, DataError
from pipelines.core.layout import Layout
from pipelines.core.records import read_json, write_json_atomic
from pipelines.data.photos import write_photos
from pipelines.evaluate.config import EvaluateConfig, PictureConfig
from pipelines.evaluate.summary import select_metrics
from pipelines.stages.evaluate import run
from pipelines.tasks import DenoiseDeblur

__all__ = ["empty_hub", "one_thread"]  # fixtures of every test here

pytestmark = pytest.mark.slow


@pytest.fixture
def config() -> EvaluateConfig:
    return small_config()


@pytest.fixture
def layout(trained: Layout) -> Layout:
    """What ``prepare`` and ``train`` leave."""
    write_scenes(trained.prepare / "test")
    return trained


def results(layout: Layout) -> dict[Path, bytes]:
    files = [layout.metrics, *layout.evaluate.rglob("*")]
    return {path.relative_to(layout.root): path.read_bytes() for path in files if path.is_file()}


def test_two_runs_give_the_same_bytes(
    layout: Layout, config: EvaluateConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    run(config, layout)
    first = results(layout)
    assert {path.name for path in first} == {
        "metrics.json",
        "summary.json",
        "sliders.png",
        "sliders.csv",
        "grid.csv",
        "curves.png",
    }
    run(config, layout)
    assert results(layout) == first
    summary = read_json(layout.summary)
    assert summary["photographs"] == 2
    assert summary["lpips_trunk"].startswith("squeeze (")
    assert read_json(layout.metrics) == select_metrics(summary)
    out = capsys.readouterr().out
    assert all(str(path) in out for path in (layout.summary, layout.evaluate / "sliders.png"))


def test_an_unknown_level_is_reported_before_anything_runs(layout: Layout, config: EvaluateConfig) -> None:
    with pytest.raises(ConfigError, match=r"evaluate\.levels\.noise'; did you mean 'noise_sigma'"):
        run(config.model_copy(update={"levels": {"noise": 10.0}}), layout)
    assert not layout.evaluate.exists()


def test_a_photograph_that_is_not_there_is_an_error(layout: Layout, config: EvaluateConfig) -> None:
    config = config.model_copy(update={"picture": PictureConfig(photo=2)})
    with pytest.raises(DataError, match=r"picture\.photo.*2 test photographs"):
        run(config, layout)
    assert not layout.metrics.exists()


def test_weights_that_are_not_there_are_an_error(layout: Layout, config: EvaluateConfig) -> None:
    with pytest.raises(DataError, match=r"weights\.pth.*no such file"):
        run(config.model_copy(update={"lpips_weights": "weights.pth"}), layout)


def test_niqe_is_measured_where_its_model_is_named(
    layout: Layout, config: EvaluateConfig, tmp_path: Path
) -> None:
    large = config.model_copy(update={"niqe_model": "niqe.npz", "steps": 2, "grid": 2})
    with pytest.raises(DataError, match=r"niqe\.npz, found no such file"):
        run(large, layout)
    root = np.random.default_rng(0).standard_normal((36, 50))
    np.savez(tmp_path / "niqe.npz", mu_pris_param=root.mean(1), cov_pris_param=root @ root.T)
    with pytest.raises(DataError, match=r"two patches of 96 px.*niqe_model to null"):
        run(large, layout)  # the photographs are smaller
    pictures = np.random.default_rng(1).integers(0, 256, (2, 96, 192, 3), dtype=np.uint8)
    write_photos(layout.prepare / "test", [(f"{i}.png", picture) for i, picture in enumerate(pictures)])
    run(large, layout)
    metrics = read_json(layout.summary)
    values = [metrics["niqe_input"], metrics["default"]["niqe"], metrics["vertices"]["denoise"]["niqe"]]
    assert all(value > 0 for value in values)
    assert len(set(values)) == 3
    head = (layout.evaluate / "plots" / "grid.csv").read_text().splitlines()[0]
    assert "niqe" in head.split(",")


def test_materials_that_are_not_those_of_training_are_refused(
    layout: Layout, config: EvaluateConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DenoiseDeblur, "materials", {"style one": "aaa"})
    path = layout.train / "record.json"
    record = read_json(path)
    for then in ({}, {"style one": "bbb"}):
        write_json_atomic(path, record | {"materials": then})
        with pytest.raises(DataError, match=r"'style one' of training to be .*, got aaa; train again"):
            run(config, layout)
    # What the network began from is no matter of the task.
    write_json_atomic(path, record | {"materials": {"style one": "aaa", "start": "ccc"}})
    run(config, layout)
    assert read_json(layout.summary)["materials"] == {"style one": "aaa"}


@pytest.mark.parametrize("unknown", [None, {"name": "colourise"}, {"noise_sigma": [25, 0]}])
def test_an_unknown_task_is_an_error(layout: Layout, config: EvaluateConfig, unknown: Any) -> None:
    path = layout.train / "record.json"
    write_json_atomic(path, read_json(path) | {"task_config": unknown})
    with pytest.raises(DataError, match=r"known task.*train again"):
        run(config, layout)


def test_sliders_of_another_order_are_refused(layout: Layout, config: EvaluateConfig) -> None:
    """Their numbers would be attributed to each other."""
    path = layout.train / "record.json"
    record = read_json(path)
    record["space"]["controls"].reverse()
    write_json_atomic(path, record)
    with pytest.raises(DataError, match=r"expected the sliders.*denoise.*the network has.*deblur"):
        run(config, layout)
