import numpy as np
import pytest
import torch

from pipelines.core.errors import ConfigError, DataError
from pipelines.data.photos import PhotoSet, write_photos
from pipelines.evaluate.config import EvaluateConfig
from pipelines.evaluate.degraded import degrade
from pipelines.tasks import DenoiseDeblur
from small_tasks import Enlarging


def test_clean_is_the_photograph_and_the_noise_is_not_clipped(
    photos: PhotoSet, task: DenoiseDeblur, config: EvaluateConfig
) -> None:
    example = degrade(photos, 1, task, config)
    wanted = photos[1].transpose(2, 0, 1) / np.float32(255)
    np.testing.assert_array_equal(example.targets["clean"][0].numpy(), wanted)
    noise = example.inputs - example.targets["denoised"]
    assert noise.std().item() == pytest.approx(25 / 255, rel=0.05)
    assert example.inputs.min() < 0


def test_levels_are_those_of_the_options(
    photos: PhotoSet, task: DenoiseDeblur, config: EvaluateConfig
) -> None:
    without = config.model_copy(update={"levels": {"noise_sigma": 0.0, "blur_sigma": 0.0}})
    example = degrade(photos, 0, task, without)
    torch.testing.assert_close(example.inputs, example.targets["clean"])
    with pytest.raises(ConfigError, match="did you mean 'noise_sigma'"):
        degrade(photos, 0, task, config.model_copy(update={"levels": {"noise_sgima": 0.0}}))


def test_noise_belongs_to_the_photograph_not_to_the_order(
    photos: PhotoSet, task: DenoiseDeblur, config: EvaluateConfig
) -> None:
    alone = degrade(photos, 1, task, config).inputs
    degrade(photos, 0, task, config)
    assert torch.equal(degrade(photos, 1, task, config).inputs, alone)
    other = degrade(photos, 1, task, config.model_copy(update={"seed": 1})).inputs
    assert not torch.equal(other, alone)
    twins = write_photos(photos.folder, [(name, photos[0]) for name in ("a.png", "b.png")])
    one, two = (degrade(twins, index, task, config).inputs for index in range(2))
    assert not torch.equal(one, two)


def test_the_crop_is_the_centre(photos: PhotoSet, task: DenoiseDeblur, config: EvaluateConfig) -> None:
    cropped = degrade(photos, 0, task, config.model_copy(update={"crop_px": 20}))
    wanted = photos[0][14:34, 14:34].transpose(2, 0, 1) / np.float32(255)
    np.testing.assert_array_equal(cropped.targets["clean"][0].numpy(), wanted)
    large = degrade(photos, 1, task, config.model_copy(update={"crop_px": 400}))
    assert large.inputs.shape == (1, 3, 48, 41)


@pytest.mark.parametrize("crop_px", [None, 43])
def test_sides_are_multiples_of_the_scale(
    photos: PhotoSet, config: EvaluateConfig, crop_px: int | None
) -> None:
    example = degrade(photos, 1, Enlarging(), config.model_copy(update={"crop_px": crop_px}))
    height = 48 if crop_px is None else 40
    assert example.targets["clean"].shape == (1, 3, height, 40)
    assert example.inputs.shape == (1, 3, height // 4, 10)


def test_a_photograph_smaller_than_the_ssim_window_is_an_error(
    photos: PhotoSet, task: DenoiseDeblur, config: EvaluateConfig
) -> None:
    tiny = write_photos(photos.folder, [("tiny.png", np.zeros((10, 40, 3), np.uint8))])
    with pytest.raises(DataError, match=r"11 px.*tiny\.png"):
        degrade(tiny, 0, task, config)
