"""Objectives: what an output should be like, one number a sample. The pixel-wise ones share a file.

``blends_targets`` says whether a weighted sum of an objective over different targets still has its best
output *between* them; :class:`tunable_models.MultiLoss` refuses the combinations that would make a dead
slider. ``needs_target`` is false for objectives of the output alone. Objectives that look through a network
take it as an argument and are modules.
"""

from tunable_models.objectives.adversarial import Adversarial
from tunable_models.objectives.features import Features, Perceptual
from tunable_models.objectives.gram_style import GramStyle, gram
from tunable_models.objectives.objective import Objective
from tunable_models.objectives.pixelwise import (
    L1,
    MSE,
    PSNR,
    RMSE,
    SSIM,
    Charbonnier,
    Frequency,
    TotalVariation,
)

__all__ = [
    "L1",
    "MSE",
    "PSNR",
    "RMSE",
    "SSIM",
    "Adversarial",
    "Charbonnier",
    "Features",
    "Frequency",
    "GramStyle",
    "Objective",
    "Perceptual",
    "TotalVariation",
    "gram",
]
