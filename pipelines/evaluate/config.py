"""Options of the ``evaluate`` stage: section ``evaluate`` of ``params.yaml``."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from pipelines.core.config import Section
from pipelines.core.errors import ConfigError, suggest_name
from tunable_models.metrics import SSIM_WINDOW_PX

Level = Annotated[float, Field(ge=0)]


class PictureConfig(Section):
    """The picture of the sliders."""

    photo: int = Field(default=0, ge=0)
    """Which test photograph, counted from 0 in the order of the prepared set."""
    crop_px: int = Field(default=208, ge=SSIM_WINDOW_PX)
    """Side of the crop that is shown at true size: the one with most detail."""
    values: int = Field(default=5, ge=2)
    """How many positions of each slider of a box, ends included; three sliders or more that share a sum
    are shown at the ends, the middles between two, and the center."""


class EvaluateConfig(Section):
    """What the network is measured on, and where on its sliders."""

    machine = ("device", "threads")

    levels: dict[str, Level] = Field(default_factory=dict)
    """Strengths of the degradation by the task's own names, such as ``noise_sigma: 25``; the task's usual
    ones where they are not named. An unknown name is refused with the nearest known one."""
    crop_px: Annotated[int, Field(ge=SSIM_WINDOW_PX)] | None = None
    """Side of the center crop that is measured; null takes whole photographs, which are run through
    the network in one piece. Sides are cut to multiples of the task's scale."""
    steps: int = Field(default=11, ge=2)
    """Positions of each slider, ends included, where its monotonicity is counted."""
    grid: int = Field(default=5, ge=2)
    """Positions of each slider, ends included, on the grid over all sliders together."""
    tolerance_db: float = Field(default=0.01, ge=0)
    """A step of a slider that lowers the slider's own metric by more than this is a violation."""
    least_range_db: float = Field(default=0.1, ge=0)
    """A slider whose own metric rises by less than this from end to end is dead."""
    lpips_net: Literal["alex", "vgg", "squeeze"] = "alex"
    """Trunk of LPIPS; the literature reports alex."""
    lpips_weights: str | None = None
    """File of torchvision's weights for that trunk, absolute or relative to the repository root. Null
    looks into torch hub's cache; nothing is downloaded, and without weights the trunk is random."""
    niqe_model: str | None = None
    """File (.npz) of NIQE's published model, absolute or relative to the repository root: then ``niqe`` is
    among the numbers. Pictures must hold two patches of 96 px."""
    device: str = "cpu"
    """Where the network runs, such as cuda; everything is measured on the CPU."""
    threads: int = Field(default=2, ge=1)
    """CPU threads."""
    seed: int = Field(default=0, ge=0)
    """Key of the test noise."""
    picture: PictureConfig = PictureConfig()

    def resolve_levels(self, usual: Mapping[str, float], task: str) -> dict[str, float]:
        """The usual strengths of a task, those of the options in their place.

        Raises:
            ConfigError: a level that the task does not have.
        """
        for name in self.levels:
            if name not in usual:
                hint = suggest_name(name, usual, f"{task} has")
                raise ConfigError(f"params.yaml: unknown key 'evaluate.levels.{name}'{hint}")
        return {**usual, **self.levels}
