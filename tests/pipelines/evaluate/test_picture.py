import pytest
import torch

from pipelines.data.photos import PhotoSet
from pipelines.evaluate.config import EvaluateConfig, PictureConfig
from pipelines.evaluate.picture import _most_detail, picture
from pipelines.evaluate.scores import degrade
from pipelines.tasks import DenoiseDeblur
from tunable_models import TunableNetwork


def test_the_crop_is_where_the_detail_is() -> None:
    image = torch.zeros(1, 3, 40, 60)
    image[..., 20:30, 45:55] = torch.rand(10, 10, generator=torch.Generator().manual_seed(0))
    rows, columns = _most_detail(image, 16)
    assert (rows.stop - rows.start, columns.stop - columns.start) == (16, 16)
    assert rows.start <= 20 < 30 <= rows.stop
    assert columns.start <= 45 < 55 <= columns.stop


def test_the_crop_is_at_most_the_image() -> None:
    assert _most_detail(torch.rand(1, 3, 12, 40), 30)[0] == slice(0, 12)


@pytest.mark.parametrize("values", [2, 5])
def test_a_tile_for_each_position_between_input_and_clean(
    network: TunableNetwork, photos: PhotoSet, task: DenoiseDeblur, config: EvaluateConfig, values: int
) -> None:
    degraded = degrade(photos, 0, task, config)
    sheet = picture(network, degraded, PictureConfig(crop_px=30, values=values))
    assert sheet.width > 150 * (values + 2)
    assert sheet.height > 2 * 150
