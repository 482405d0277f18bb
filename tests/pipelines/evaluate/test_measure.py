import pytest

from pipelines.data.photos import PhotoSet
from pipelines.evaluate import measure as module
from pipelines.evaluate.config import EvaluateConfig
from pipelines.evaluate.measure import measure
from pipelines.perceptual import LPIPS
from pipelines.tasks import DenoiseDeblur
from tunable_models import TunableNetwork


def test_every_setting_of_grid_and_sweeps_once(
    network: TunableNetwork, task: DenoiseDeblur, photos: PhotoSet, config: EvaluateConfig, lpips: LPIPS
) -> None:
    config = config.model_copy(update={"steps": 5, "grid": 3})
    inputs, scores = measure(network, task, photos, config, lpips)
    assert len(inputs) == 2
    assert len(scores) == 9 + 16 - 8  # the grid, the four sides, less what they share
    assert all(len(group) == 2 for group in scores.values())


def test_progress_is_plain_lines(
    network: TunableNetwork,
    task: DenoiseDeblur,
    photos: PhotoSet,
    config: EvaluateConfig,
    lpips: LPIPS,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(module, "PRINT_EVERY_S", 0.0)
    measure(network, task, photos, config, lpips)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 18
    assert lines[0].startswith("evaluate  1/18 outputs")
    assert lines[-1].endswith("0 s left")
