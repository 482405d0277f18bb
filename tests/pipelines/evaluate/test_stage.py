from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import ConfigError, DataError
from pipelines.evaluate.config import EvaluateConfig, PictureConfig
from pipelines.evaluate.stage import run
from pipelines.paths import Layout
from pipelines.records import read_json, write_json_atomic


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
        "sliders.png",
        "sliders.csv",
        "grid.csv",
        "curves.png",
    }
    run(config, layout)
    assert results(layout) == first
    metrics = read_json(layout.metrics)
    assert metrics["photographs"] == 2
    assert metrics["lpips_trunk"].startswith("squeeze (")
    out = capsys.readouterr().out
    assert all(str(path) in out for path in (layout.metrics, layout.evaluate / "sliders.png"))


def test_an_unknown_level_is_told_before_anything_runs(layout: Layout, config: EvaluateConfig) -> None:
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
