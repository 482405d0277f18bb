import pytest
import torch
from skimage.color import rgb2ycbcr

from tunable_models import TunableError
from tunable_models.metrics import luma


def test_it_is_scikit_images() -> None:
    image = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wanted = torch.from_numpy(rgb2ycbcr(image.permute(0, 2, 3, 1).numpy())[..., 0]).unsqueeze(1)
    torch.testing.assert_close(luma(image) * 255, wanted)
    torch.testing.assert_close(luma(image * 255, data_range=255.0), wanted)


def test_black_and_white_are_16_and_235() -> None:
    ends = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 1, 1)
    assert luma(ends).mul(255).flatten().tolist() == pytest.approx([16, 235])


@pytest.mark.parametrize("shape", [(1, 1, 4, 4), (1, 4, 4, 4), (3, 4, 4)])
def test_other_than_rgb_is_an_error(shape: tuple[int, ...]) -> None:
    with pytest.raises(TunableError, match="RGB"):
        luma(torch.zeros(shape))
