import torch

from pipelines.evaluate.detail import most_detail


def test_the_crop_is_where_the_detail_is() -> None:
    image = torch.zeros(1, 3, 40, 60)
    image[..., 20:30, 45:55] = torch.rand(10, 10, generator=torch.Generator().manual_seed(0))
    for step in (1, 4):
        rows, columns = most_detail(image, 16, step)
        assert (rows.stop - rows.start, columns.stop - columns.start) == (16, 16)
        assert rows.start <= 20 < 30 <= rows.stop
        assert columns.start <= 45 < 55 <= columns.stop
        assert rows.start % step == columns.start % step == 0


def test_the_crop_is_at_most_the_image() -> None:
    assert most_detail(torch.rand(1, 3, 12, 40), 30)[0] == slice(0, 12)
