"""Options of the ``evaluate`` stage: section ``evaluate`` of ``params.yaml``."""

from typing import Annotated, Literal

from pydantic import Field

from pipelines.config import Section
from tunable_models.metrics import SSIM_WINDOW_PX


class PictureConfig(Section):
    """The picture of the sliders."""

    photo: int = Field(default=0, ge=0)
    """Which test photograph, counted from 0 in the order of the prepared set."""
    crop_px: int = Field(default=75, ge=SSIM_WINDOW_PX)
    """Side of the crop that is shown, enlarged: the one with most detail."""
    values: int = Field(default=5, ge=2)
    """How many positions of each slider, ends included."""


class EvaluateConfig(Section):
    """What the network is measured on, and where on its sliders."""

    noise_sigma: float = Field(default=25.0, ge=0, le=255)
    """Noise of the test inputs, sigma in units of 1/255."""
    blur_sigma: float = Field(default=1.5, ge=0, le=8)
    """Gaussian blur of the test inputs, sigma in pixels."""
    crop_px: Annotated[int, Field(ge=SSIM_WINDOW_PX)] | None = None
    """Side of the centre crop that is measured; null takes whole photographs, which are run through
    the network in one piece."""
    steps: int = Field(default=11, ge=2)
    """Positions of each slider, ends included, where its monotonicity is counted."""
    grid: int = Field(default=5, ge=2)
    """Positions of each slider, ends included, on the grid over all sliders together."""
    tolerance_db: float = Field(default=0.01, ge=0)
    """A step of a slider that lowers the slider's own metric by more than this is a violation."""
    lpips_net: Literal["alex", "vgg", "squeeze"] = "alex"
    """Trunk of LPIPS; the literature reports alex."""
    lpips_weights: str | None = None
    """File of torchvision's weights for that trunk, absolute or relative to the repository root. Null
    looks into torch hub's cache; nothing is downloaded, and without weights the trunk is random."""
    threads: int = Field(default=2, ge=1)
    """CPU threads."""
    seed: int = Field(default=0, ge=0)
    """Key of the test noise."""
    picture: PictureConfig = PictureConfig()
