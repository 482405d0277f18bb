"""A test photograph as the network gets it: cropped in the middle, degraded, its noise always the same."""

import torch
from torch import Tensor

from pipelines.core.errors import DataError
from pipelines.data.photos import PhotoSet
from pipelines.evaluate.config import EvaluateConfig
from pipelines.evaluate.levels import levels_of
from pipelines.tasks import Example, Task
from tunable_models.metrics import SSIM_WINDOW_PX


def degrade(
    photos: PhotoSet, index: int, task: Task, config: EvaluateConfig, levels: dict[str, float] | None = None
) -> Example:
    """One photograph, degraded: inputs (1, 3, H, W), targets (1, 3, sH, sW).

    The noise depends on the seed and the photograph's index alone.

    Args:
        photos: the test photographs.
        index: which of them.
        task: degrades it.
        config: how it is cropped, and the seed.
        levels: strengths of the degradation; those of the config by default.

    Raises:
        DataError: the photograph is smaller than the window of SSIM.
    """
    photo = torch.from_numpy(photos[index].copy()).permute(2, 0, 1).unsqueeze(0)
    clean = _centre(photo, config.crop_px, task.scale) / 255
    if min(clean.shape[-2:]) < max(SSIM_WINDOW_PX, task.scale):
        raise DataError(
            f"expected sides of {SSIM_WINDOW_PX} px at least, got {tuple(photo.shape[-2:])} of "
            f"{photos.names[index]!r}; raise prepare.min_side_px"
        )
    return task.degrade(clean, levels or levels_of(task, config.levels), (config.seed, "evaluate", index))


def _centre(image: Tensor, side: int | None, multiple: int) -> Tensor:
    """A centre crop whose sides are multiples; the whole image without a side, less what is over."""
    height, width = (min(length, side or length) // multiple * multiple for length in image.shape[-2:])
    top, left = (image.shape[-2] - height) // 2, (image.shape[-1] - width) // 2
    return image[..., top : top + height, left : left + width]
