import numpy as np
import pytest
import torch
from evaluation import photograph_of
from torch import Tensor

from pipelines.core.contact_sheet import to_image
from pipelines.data.photos import PhotoSet
from pipelines.evaluate.config import PictureConfig
from pipelines.evaluate.picture import _label_setting, _list_rows, draw_sliders, find_detail
from pipelines.measure.settings import Setting
from pipelines.tasks import DenoiseDeblur, Task
from small_tasks import Enlarging, Fading, Tinting
from tunable_models import ControlSpace


class Flat:
    """An output of one colour for each setting."""

    def __init__(self, task: Task) -> None:
        self.scale = task.scale

    def __call__(self, inputs: Tensor, setting: Setting) -> Tensor:
        colour = torch.tensor([*setting, 0.0, 0.0, 0.0])[:3].view(1, 3, 1, 1)
        height, width = (side * self.scale for side in inputs.shape[-2:])
        return colour.expand(1, 3, height, width)


def colours(sheet: np.ndarray, side: int) -> set[tuple[int, ...]]:
    """Every colour that fills a tile of the sheet at least, but for the paper's and the ink's."""
    found, counts = np.unique(sheet.astype(int) @ (1, 256, 256**2), return_counts=True)
    filled = found[counts >= side**2].tolist()
    return {(c % 256, c // 256 % 256, c // 256**2) for c in filled} - {(255, 255, 255), (34, 34, 34)}


@pytest.mark.parametrize(
    ("task", "shown"),
    [
        (Fading(), {(0, 0, 0), (128, 0, 0), (255, 0, 0)}),
        (Enlarging(), {(0, 255, 0), (128, 128, 0), (255, 0, 0)}),
        (
            Tinting(),
            {
                *((255, 0, 0), (0, 255, 0), (0, 0, 255)),
                *((128, 128, 0), (128, 0, 128), (0, 128, 128), (85, 85, 85)),
            },
        ),
    ],
)
def test_every_setting_worth_a_look_is_on_the_sheet(
    task: Task, shown: set[tuple[int, ...]], photos: PhotoSet
) -> None:
    options = PictureConfig(crop_px=40, values=3)
    sheet = draw_sliders(Flat(task), task, photograph_of(task, photos), options)
    assert colours(np.asarray(sheet), 40) == shown


def test_two_of_a_box_have_a_row_each(photos: PhotoSet, task: DenoiseDeblur) -> None:
    options = PictureConfig(crop_px=30, values=5)
    sheet = draw_sliders(Flat(task), task, photograph_of(task, photos), options)
    positions = (0, 64, 128, 191, 255)
    wanted = {(value, 255, 0) for value in positions} | {(255, value, 0) for value in positions}
    assert wanted <= colours(np.asarray(sheet), 30)
    assert sheet.width > 7 * 30
    assert [row.title for row in _list_rows(task.space, 5)] == [
        "Slider denoise, with deblur 1",
        "Slider deblur, with denoise 1",
    ]


def test_the_input_is_shown_in_squares_beside_the_clean_image(photos: PhotoSet) -> None:
    task, options = Enlarging(), PictureConfig(crop_px=48, values=2)
    photograph = photograph_of(task, photos)
    example = photograph.raw
    sheet = np.asarray(draw_sliders(Flat(task), task, photograph, options))
    for wanted in (
        np.asarray(to_image(example.inputs[0])).repeat(4, 0).repeat(4, 1),
        np.asarray(to_image(example.targets["clean"][0])),
    ):
        top = np.flatnonzero((sheet[:, :, :] == wanted[0, 0]).all(-1).any(1))[0]
        assert any(
            (sheet[top : top + len(wanted), left : left + wanted.shape[1]] == wanted).all()
            for left in range(sheet.shape[1] - wanted.shape[1])
        )


def test_labels_are_native_with_units_and_name_what_changes() -> None:
    assert _label_setting(Fading.space, (0.25,), ["light"]) == "light 12.5 %"
    assert (
        _label_setting(Tinting.space, (1 / 3, 1 / 3, 1 / 3), Tinting.space.names).split("\n")[0]
        == "red 0.333"
    )
    rows = _list_rows(ControlSpace.box("a", "b", "c"), 3)
    assert [(row.title, row.names) for row in rows] == [
        ("Slider a, with b 1, c 1", ["a"]),
        ("Slider b, with a 1, c 1", ["b"]),
        ("Slider c, with a 1, b 1", ["c"]),
    ]
    assert rows[1].settings == ((1, 0, 1), (1, 0.5, 1), (1, 1, 1))


def test_the_crop_is_where_the_detail_is() -> None:
    image = torch.zeros(1, 3, 40, 60)
    image[..., 20:30, 45:55] = torch.rand(10, 10, generator=torch.Generator().manual_seed(0))
    for step in (1, 4):
        rows, columns = find_detail(image, 16, step)
        assert (rows.stop - rows.start, columns.stop - columns.start) == (16, 16)
        assert rows.start <= 20 < 30 <= rows.stop
        assert columns.start <= 45 < 55 <= columns.stop
        assert rows.start % step == columns.start % step == 0


def test_the_crop_is_at_most_the_image() -> None:
    assert find_detail(torch.rand(1, 3, 12, 40), 30)[0] == slice(0, 12)
