"""Denoising of white Gaussian noise: three tasks that share a degradation and differ in what the sliders do.

``noise-level``: a condition slider, sigma 0 to 50, describes the noise of the input; in training the noise
of every sample is what omega says, and the target is always clean. Above the true level it takes away more,
below it less: one network in place of one for each level, as FFDNet (https://arxiv.org/abs/1710.04026) and
DRUNet do with a map beside their input.

``denoise-strength``: an objective slider from the picture as it is to the clean one. Between them the target
is their blend, so that half of the slider leaves half of the noise.

``three-objectives``: fidelity, grain and smoothness share a sum of 1. Fidelity keeps every pixel near the
truth; grain keeps what the camera gave, noise included; smoothness trades texture for flat, quiet areas
(Rudin, Osher, Fatemi, Physica D 1992, https://doi.org/10.1016/0167-2789(92)90242-F). Distances are squared
errors, whose weighted sum has its best picture between the truth and the input.

Shapes: photographs (B, 3, H, W); sigmas (B,) in units of 1/255.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from pipelines.core.random_streams import generator
from pipelines.tasks.degradations import Range, add_noise, check_range, draw_strengths, mean_strength
from pipelines.tasks.distances import Distance, negative_db, psnr_clamped, removed_rms_db
from pipelines.tasks.registry import TaskOptions
from pipelines.tasks.task import BlendedTask, Example, Key, Task
from tunable_models import MSE, Control, ControlSpace, MultiLoss, Term, TotalVariation, get_objective


def _check_sigma(values: Range) -> Range:
    check_range("noise_sigma", values, 255.0)
    return values


NoiseSigma = Annotated[Range, AfterValidator(_check_sigma)]
"""An option: the range of the noise, sigma in units of 1/255."""

STRENGTH_SPACE = ControlSpace.box(
    Control(
        name="strength",
        description="How much of the noise is taken away.",
        metric="PSNR to the clean picture",
    )
)
OBJECTIVES_SPACE = ControlSpace.simplex(
    Control(
        name="fidelity",
        description="Keep every pixel near the truth.",
        default=1 / 3,
        metric="PSNR to the clean picture",
    ),
    Control(
        name="grain",
        description="Keep the grain of the input.",
        default=1 / 3,
        metric="PSNR to the input",
    ),
    Control(
        name="smoothness",
        description="Make areas flat and quiet.",
        default=1 / 3,
        metric="total variation, as -10 log10",
    ),
)
GRAIN, SMOOTHNESS = 1, 2


class GaussianNoise(Task):
    """The part of a task that makes its examples; targets ``input`` and ``clean``.

    Attributes:
        noise_sigma: the range that each training sample draws its own noise from.
    """

    noise_sigma: Range

    @property
    def levels(self) -> Mapping[str, float]:
        """The middle of the range."""
        return {"noise_sigma": mean_strength(self.noise_sigma)}

    def sample(self, clean: Tensor, omega: Tensor, keys: Sequence[Key]) -> Example:
        """Noise of every sample from the range."""
        strengths, noise = draw_strengths([self.noise_sigma], keys, clean.shape[1:])
        return self._make_example(clean, strengths[:, 0], noise)

    def degrade(self, clean: Tensor, levels: Mapping[str, float], key: Key) -> Example:
        """All samples at ``noise_sigma``."""
        noise = torch.randn(clean.shape, generator=generator(*key))
        return self._make_example(clean, torch.full((len(clean),), levels["noise_sigma"]), noise)

    def _make_example(self, clean: Tensor, sigma: Tensor, noise: Tensor) -> Example:
        inputs = add_noise(clean, sigma.to(clean.device), noise.to(clean.device))
        return Example(inputs, {"input": inputs, "clean": clean})


class NoiseLevelConfig(TaskOptions):
    """Options of ``noise-level``."""

    name: Literal["noise-level"] = "noise-level"
    max_sigma: float = Field(default=50.0, gt=0, le=255)
    """Noise at the slider's upper end, sigma in units of 1/255; the lower end is no noise."""
    distance: Distance = "l1"
    """Distance to the clean picture."""


class NoiseLevel(GaussianNoise):
    """The task ``noise-level``; its only target is ``clean``."""

    name: ClassVar[str] = "noise-level"
    description: ClassVar[str] = "Denoising of photographs with a slider for the level of their noise."
    config_class = NoiseLevelConfig

    def __init__(self, config: NoiseLevelConfig) -> None:
        self.config = config
        self.noise_sigma = (0.0, config.max_sigma)
        self.space = ControlSpace.box(
            Control(
                name="noise",
                description="How strong the noise is taken to be; more takes away more.",
                high=config.max_sigma,
                default=config.max_sigma / 2,
                unit="sigma/255",
                kind="condition",
                metric="rms of what is taken away",
            )
        )
        self._distance = get_objective(config.distance)

    def sample(self, clean: Tensor, omega: Tensor, keys: Sequence[Key]) -> Example:
        """Noise as strong as omega says."""
        _, noise = draw_strengths((), keys, clean.shape[1:])
        return self._make_example(clean, omega[:, 0] * self.config.max_sigma, noise)

    def shares(self, output: Tensor, example: Example, omega: Tensor) -> Mapping[str, Tensor]:
        """The distance to the clean picture, whatever omega."""
        return {type(self._distance).__name__: self._distance(output, example.targets["clean"])}

    def target(self, example: Example, omega: Tensor) -> Tensor:
        """The clean picture."""
        return example.targets["clean"]

    def progress(self, output: Tensor, example: Example, omega: Tensor, control: int) -> Tensor:
        """The rms taken away, (B,) in dB."""
        return removed_rms_db(example.inputs, output)

    def matched(self, omega: Tensor) -> Mapping[str, float]:
        """The noise that omega (1,) describes."""
        return {"noise_sigma": omega[0].item() * self.config.max_sigma}

    def _make_example(self, clean: Tensor, sigma: Tensor, noise: Tensor) -> Example:
        return Example(super()._make_example(clean, sigma, noise).inputs, {"clean": clean})


class DenoiseStrengthConfig(TaskOptions):
    """Options of ``denoise-strength``."""

    name: Literal["denoise-strength"] = "denoise-strength"
    noise_sigma: NoiseSigma = (5.0, 50.0)
    """Range of the noise, sigma in units of 1/255; each training sample draws its own, which the network
    has to estimate."""
    distance: Distance = "rmse"
    """Distance to the blended target."""


class DenoiseStrength(GaussianNoise, BlendedTask):
    """The task ``denoise-strength``; targets ``input`` and ``clean``."""

    name: ClassVar[str] = "denoise-strength"
    description: ClassVar[str] = "Blind denoising of photographs with a slider for its strength."
    config_class = DenoiseStrengthConfig

    def __init__(self, config: DenoiseStrengthConfig) -> None:
        super().__init__(STRENGTH_SPACE, ("input", "clean"), config.distance)
        self.config = config
        self.noise_sigma = config.noise_sigma


class ThreeObjectivesConfig(TaskOptions):
    """Options of ``three-objectives``."""

    name: Literal["three-objectives"] = "three-objectives"
    noise_sigma: NoiseSigma = (25.0, 25.0)
    """Range of the noise, sigma in units of 1/255; each training sample draws its own."""
    smoothness_scale: float = Field(default=0.02, gt=0)
    """How much total variation counts beside the squared error to the clean picture."""


class ThreeObjectives(GaussianNoise):
    """The task ``three-objectives``; targets ``input`` and ``clean``."""

    name: ClassVar[str] = "three-objectives"
    description: ClassVar[str] = "Denoising of photographs between fidelity, grain and smoothness."
    config_class = ThreeObjectivesConfig
    space = OBJECTIVES_SPACE

    def __init__(self, config: ThreeObjectivesConfig) -> None:
        self.config = config
        self.noise_sigma = config.noise_sigma
        fidelity, grain = Term(objective=MSE()), Term(objective=MSE(), target="input")
        quiet = Term(objective=TotalVariation(), scale=config.smoothness_scale)
        self._loss = MultiLoss(OBJECTIVES_SPACE, [fidelity, grain, [fidelity, quiet]])

    def shares(self, output: Tensor, example: Example, omega: Tensor) -> Mapping[str, Tensor]:
        """The three objectives."""
        return self._loss.shares(output, example.targets, omega)

    def target(self, example: Example, omega: Tensor) -> None:
        """None: the objectives do not agree on one picture."""

    def progress(self, output: Tensor, example: Example, omega: Tensor, control: int) -> Tensor:
        """PSNR to the clean picture, PSNR to the input, or total variation in dB."""
        if control == SMOOTHNESS:
            return negative_db(TotalVariation()(output.clamp(0, 1)))
        return psnr_clamped(output, example.targets["input" if control == GRAIN else "clean"])
