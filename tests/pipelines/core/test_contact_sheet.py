import numpy as np
import torch

from pipelines.core.contact_sheet import contact_sheet, to_image


def test_to_image_clamps_and_rounds() -> None:
    picture = torch.tensor([-1.0, 0.0, 0.5, 254.4 / 255, 2.0]).expand(3, 1, 5)
    assert np.asarray(to_image(picture))[0, :, 1].tolist() == [0, 0, 128, 254, 255]


def test_every_pixel_of_a_tile_is_shown() -> None:
    tile = torch.rand(3, 9, 7)
    sheet = np.asarray(contact_sheet([[("label", tile)]]))
    wanted = np.asarray(to_image(tile))
    windows = np.lib.stride_tricks.sliding_window_view(sheet, wanted.shape)[:, :, 0]
    assert (windows == wanted).all((2, 3, 4)).sum() == 1


def test_labels_and_titles_take_room_and_leave_ink() -> None:
    white = torch.ones(3, 40, 60)
    bare = contact_sheet([[("", white)]])
    labelled = contact_sheet([[("a label\nof two lines", white)]])
    titled = contact_sheet([[("a label\nof two lines", white)]], titles=["a title"])
    assert bare.height < labelled.height < titled.height
    assert np.asarray(bare).min() == 255
    assert np.asarray(labelled).min() < 100


def test_columns_are_of_one_width_and_rows_may_be_short() -> None:
    def tile(width: int) -> tuple[str, torch.Tensor]:
        return "x", torch.zeros(3, 20, width)

    one = contact_sheet([[tile(30)]])
    sheet = contact_sheet([[tile(30)], [tile(10), tile(20), tile(30)]])
    assert sheet.width > 3 * 30
    assert sheet.height > 2 * 20
    assert sheet.width > one.width


def test_a_picture_with_gradients_can_be_drawn() -> None:
    contact_sheet([[("x", torch.rand(3, 8, 8, requires_grad=True))]])
