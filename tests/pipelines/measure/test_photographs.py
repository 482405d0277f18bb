import numpy as np
import pytest
import torch
from evaluation import photographs_of

from pipelines.core.errors import DataError
from pipelines.data.photos import PhotoSet, write_photos
from pipelines.measure.photographs import Batches, CenterCrops, Photographs, clamp_example, upscale_inputs
from pipelines.tasks import DenoiseDeblur, Example
from small_tasks import Enlarging, Fading


def test_clean_is_the_photograph_and_the_noise_is_not_clipped(photos: PhotoSet, task: DenoiseDeblur) -> None:
    example = photographs_of(task, photos).degrade(1)
    wanted = photos[1].transpose(2, 0, 1) / np.float32(255)
    np.testing.assert_array_equal(example.targets["clean"][0].numpy(), wanted)
    noise = example.inputs - example.targets["denoised"]
    assert noise.std().item() == pytest.approx(25 / 255, rel=0.05)
    assert example.inputs.min() < 0


def test_levels_can_be_others_than_the_usual_ones(photos: PhotoSet, task: DenoiseDeblur) -> None:
    without = {"noise_sigma": 0.0, "blur_sigma": 0.0}
    clean = CenterCrops(photos, None, 1)
    for example in (
        Photographs(task, clean, (0,), levels=without).degrade(0),
        Photographs(task, clean, (0,)).degrade(0, without),
    ):
        torch.testing.assert_close(example.inputs, example.targets["clean"])


def test_noise_belongs_to_the_photograph_not_to_the_order(photos: PhotoSet, task: DenoiseDeblur) -> None:
    photographs = photographs_of(task, photos)
    alone = photographs.degrade(1).inputs
    photographs.degrade(0)
    assert torch.equal(photographs.degrade(1).inputs, alone)
    assert not torch.equal(photographs_of(task, photos, seed=1).degrade(1).inputs, alone)
    twins = write_photos(photos.folder, [(name, photos[0]) for name in ("a.png", "b.png")])
    one, two = (photographs_of(task, twins).degrade(number).inputs for number in range(2))
    assert not torch.equal(one, two)


def test_batches_hold_what_photographs_are_alone_and_keep_it(photos: PhotoSet, task: DenoiseDeblur) -> None:
    photographs = photographs_of(task, photos, crop_px=40)
    batches = Batches(photographs, range(2), size=2)
    [both] = batches.at_usual_levels()
    assert torch.equal(both.raw.inputs, torch.cat([photographs.degrade(n).inputs for n in range(2)]))
    assert both.shown.inputs.min() == 0
    assert batches.at_setting(torch.ones(2)) is batches.at_usual_levels()


def test_a_setting_of_a_condition_control_comes_with_its_input(photos: PhotoSet) -> None:
    [dark], [bright] = (
        Batches(photographs_of(Fading(), photos), [0]).at_setting(torch.tensor([light]))
        for light in (1.0, 0.0)
    )
    torch.testing.assert_close(dark.raw.inputs, 0.5 * bright.raw.inputs)


def test_the_crop_is_the_center(photos: PhotoSet) -> None:
    wanted = photos[0][14:34, 14:34].transpose(2, 0, 1) / np.float32(255)
    np.testing.assert_array_equal(CenterCrops(photos, 20, 1)[0][0].numpy(), wanted)
    assert CenterCrops(photos, 400, 1)[1].shape == (1, 3, 48, 41)
    assert CenterCrops(photos, 16, 5)[1].shape == (1, 3, 15, 15)
    assert [len(CenterCrops(photos, 16, 1, count=count)) for count in (None, 1)] == [2, 1]


@pytest.mark.parametrize("crop_px", [None, 43])
def test_sides_are_multiples_of_the_scale(photos: PhotoSet, crop_px: int | None) -> None:
    example = photographs_of(Enlarging(), photos, crop_px).degrade(1)
    height = 48 if crop_px is None else 40
    assert example.targets["clean"].shape == (1, 3, height, 40)
    assert example.inputs.shape == (1, 3, height // 4, 10)


def test_a_photograph_that_is_too_small_is_named(photos: PhotoSet) -> None:
    tiny = write_photos(photos.folder, [("tiny.png", np.zeros((10, 40, 3), np.uint8))])
    with pytest.raises(DataError, match=r"10 x 40 of 'tiny\.png'"):
        CenterCrops(tiny, None, 1, min_side_px=11)


def test_every_picture_is_displayed_within_its_range() -> None:
    beyond = torch.tensor([-0.5, 0.25, 1.5]).view(1, 3, 1, 1)
    example = clamp_example(Example(beyond, {"clean": beyond + 0.1}))
    assert example.inputs.flatten().tolist() == [0, 0.25, 1]
    assert example.targets["clean"].flatten().tolist() == [0, pytest.approx(0.35), 1]


def test_inputs_are_upscaled_to_the_output() -> None:
    example = Example(torch.full((1, 3, 4, 5), 0.25), {"clean": torch.rand(1, 3, 16, 20)})
    assert torch.equal(upscale_inputs(example.inputs, example.inputs), example.inputs)
    torch.testing.assert_close(
        upscale_inputs(example.inputs, example.targets["clean"]), torch.full((1, 3, 16, 20), 0.25)
    )
