import pytest
from torch import Tensor

from pipelines.data.photos import PhotoSet
from pipelines.evaluate.config import EvaluateConfig
from pipelines.evaluate.measure import measure
from pipelines.evaluate.subject import Subject
from pipelines.features.lpips import LPIPS
from pipelines.measure.settings import Setting
from pipelines.tasks import DenoiseDeblur
from small_tasks import Fading
from tunable_models import ImageContract, TunableNetwork


@pytest.mark.slow
def test_every_setting_of_grid_and_sweeps_once(
    network: TunableNetwork, task: DenoiseDeblur, photos: PhotoSet, config: EvaluateConfig, lpips: LPIPS
) -> None:
    config = config.model_copy(update={"steps": 5, "grid": 3})
    measured = measure(Subject(network, ImageContract()), task, photos, config, lpips)
    assert len(measured.inputs) == 2
    assert len(measured.scores) == 9 + 16 - 8  # the grid, the four sides, less what they share
    assert all(len(group) == 2 for group in measured.scores.values())
    assert measured.matched == {}


def test_condition_controls_are_measured_where_they_tell_the_truth(
    photos: PhotoSet, config: EvaluateConfig, lpips: LPIPS, capsys: pytest.CaptureFixture[str]
) -> None:
    def identity(inputs: Tensor, setting: Setting) -> Tensor:
        return inputs

    measured = measure(identity, Fading(), photos, config, lpips)  # type: ignore[arg-type]
    assert [(face.truth, len(matches)) for face, matches in measured.matched.items()] == [
        (0, 2),
        (1, 2),
        (2, 2),
    ]
    assert "evaluate  output 24/24  " in capsys.readouterr().out  # 2 photographs, 3 settings, 3 x 3 matched
