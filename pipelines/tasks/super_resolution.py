"""Super-resolution between accuracy and perception: two controls that share a sum of 1, one slider.

Accuracy trains on a distance to the truth, which averages over all pictures that could have been there.
Perception trains on features of a trunk, and on a critic of patches where ``adversarial_scale`` is above
0: sharper, and further from the truth pixel by pixel, the trade-off of Blau and Michaeli, "The
Perception-Distortion Tradeoff", CVPR 2018, https://arxiv.org/abs/1711.06077. Inputs are made by
antialiased bicubic downsampling and rounded to 8 bits, as files hold them.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from pipelines.core.config import Section
from pipelines.core.errors import DataError
from pipelines.core.random_streams import stream_seed
from pipelines.tasks.degradations import bicubic_downsample
from pipelines.tasks.distances import LIMIT_DB, Distance, negative_db, psnr_clamped
from pipelines.tasks.registry import TaskOptions
from pipelines.tasks.task import Example, Key, Task
from pipelines.tasks.trunks import Trunk, TrunkConfig, match_l1_scale
from tunable_models import (
    L1,
    Adversarial,
    Control,
    ControlSpace,
    Features,
    MultiLoss,
    PatchCritic,
    Term,
    get_objective,
    psnr,
    ssim,
)
from tunable_models.metrics import SSIM_WINDOW_PX

SPACE = ControlSpace.simplex(
    Control(
        name="accuracy",
        description="Stay near the truth, pixel by pixel.",
        default=0.5,
        metric="PSNR to the large picture",
    ),
    Control(
        name="perception",
        description="Look sharp and natural.",
        default=0.5,
        metric="nearness to the large picture in a network's features",
    ),
)
ACCURACY = 0


class CriticConfig(Section):
    """Size of the critic of patches."""

    width: int = Field(default=64, ge=1)
    """Channels of its first convolution."""
    depth: int = Field(default=3, ge=1, le=5)
    """Strided convolutions: a score sees 16, 34 or 70 px at 1, 2 or 3."""


class SuperResolutionConfig(TaskOptions):
    """How much larger, and what perception means."""

    name: Literal["super-resolution"] = "super-resolution"
    scale: Literal[2, 3, 4] = 4
    """Side of the output over side of the input."""
    distance: Distance = "l1"
    """What accuracy is measured by in training; rmse is best for PSNR."""
    features_scale: float = Field(default=1.0, gt=0)
    """How much features count in perception; at 1 they pull about as strongly as L1 would."""
    pixel_scale: float = Field(default=0.1, gt=0)
    """How much L1 counts in perception, which keeps colors right."""
    adversarial_scale: float = Field(default=0.0, ge=0)
    """How much the critic counts in perception; 0 trains without one."""
    critic: CriticConfig = CriticConfig()
    trunk: TrunkConfig = TrunkConfig()
    """The network whose features perception compares."""


class SuperResolution(Task):
    """The task; its only target is ``clean``, the large picture.

    Sides of photographs that are no multiples of the scale lose their last rows and columns.
    """

    name: ClassVar[str] = "super-resolution"
    description: ClassVar[str] = "Enlarging photographs with a slider between accuracy and perception."
    config_class = SuperResolutionConfig
    space = SPACE

    def __init__(self, config: SuperResolutionConfig, root: Path = Path()) -> None:
        self.config = config
        self.scale = config.scale
        self._root = root

    @classmethod
    def from_config(cls, config: Any, root: Path) -> Self:
        """The task of these options; relative paths in them start at ``root``."""
        return cls(config, root)

    @property
    def levels(self) -> Mapping[str, float]:
        """None: the scale is the network's."""
        return {}

    @property
    def materials(self) -> Mapping[str, str]:
        """The trunk."""
        return {"trunk": self._trunk.label}

    @cached_property
    def critic(self) -> nn.Module | None:
        """The critic of patches, freshly initialised; the same for the same options."""
        if self.config.adversarial_scale == 0:
            return None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_seed("critic"))
            return PatchCritic(width=self.config.critic.width, depth=self.config.critic.depth)

    @property
    def min_patch_px(self) -> int:
        """What the critic needs, where there is one."""
        if self.config.adversarial_scale == 0:
            return super().min_patch_px
        with torch.device("meta"):  # asked while options are checked: nothing is drawn
            side: int = PatchCritic(width=1, depth=self.config.critic.depth).min_side_px
        return side

    def to(self, device: torch.device) -> Self:
        """Move the trunk and the critic."""
        self._loss.to(device)
        return self

    def sample(self, clean: Tensor, omega: Tensor, keys: Sequence[Key]) -> Example:
        """The same as :meth:`degrade`: nothing is drawn."""
        return self.degrade(clean, {}, ())

    def degrade(self, clean: Tensor, levels: Mapping[str, float], key: Key) -> Example:
        """Small inputs of large pictures."""
        height, width = (side // self.scale * self.scale for side in clean.shape[-2:])
        clean = clean[..., :height, :width]
        small = bicubic_downsample(clean, self.scale).clamp(0, 1).mul(255).round() / 255
        return Example(small, {"clean": clean})

    def shares(self, output: Tensor, example: Example, omega: Tensor) -> Mapping[str, Tensor]:
        """The distance, and what perception is made of."""
        return self._loss.shares(output, example.targets, omega)

    def target(self, example: Example, omega: Tensor) -> Tensor:
        """The large picture, which both objectives ask for."""
        return example.targets["clean"]

    def progress(self, output: Tensor, example: Example, omega: Tensor, control: int) -> Tensor:
        """PSNR for accuracy; for perception the distance between features, in dB."""
        clean = example.targets["clean"]
        if control == ACCURACY:
            return psnr_clamped(output, clean)
        return negative_db(self._features(output.clamp(0, 1), clean.clamp(0, 1)))

    def measures(self, output: Tensor, example: Example) -> Mapping[str, Tensor]:
        """``psnr_y`` and ``ssim_y``: on luma, without as many pixels at the border as the scale.

        So the literature on enlargement measures.

        Raises:
            DataError: the pictures are too small for SSIM without that border.
        """
        least = SSIM_WINDOW_PX + 2 * self.scale
        if min(output.shape[-2:]) < least:
            raise DataError(
                f"expected pictures with sides of {least} px at least, got {tuple(output.shape[-2:])}; raise "
                "prepare.min_side_px or evaluate.crop_px"
            )
        output, clean = output.clamp(0, 1), example.targets["clean"].clamp(0, 1)
        near = psnr(output, clean, luma=True, crop_border=self.scale).clamp(max=LIMIT_DB)
        return {"psnr_y": near, "ssim_y": ssim(output, clean, luma=True, crop_border=self.scale)}

    @cached_property
    def _trunk(self) -> Trunk:
        return self.config.trunk.build_trunk(self._root)

    @cached_property
    def _features(self) -> Features:
        return Features(self._trunk, distance=L1())

    @cached_property
    def _loss(self) -> MultiLoss:
        config = self.config
        perception = [
            Term(objective=L1(), scale=config.pixel_scale),
            Term(objective=self._features, scale=config.features_scale * match_l1_scale(self._features)),
        ]
        if self.critic is not None:
            perception.append(Term(objective=Adversarial(self.critic), scale=config.adversarial_scale))
        return MultiLoss(self.space, [Term(objective=get_objective(config.distance)), perception])
