"""Tunable networks: kernels that a few numbers mix, so that a slider steers a trained network.

After Maggioni et al., "Tunable Convolutions with Parametric Multi-Loss Optimization", CVPR 2023,
https://arxiv.org/abs/2304.00898. This package needs torch and nothing else.
"""

from tunable_models.architectures import (
    Architecture,
    ImageContract,
    build,
    get_architecture,
    list_architectures,
)
from tunable_models.bases import BasisName
from tunable_models.controls import Control, ControlSpace
from tunable_models.errors import ArchitectureError, ConversionError, OmegaError, TunableError
from tunable_models.layers import TunableConv2d, TunableConvTranspose2d, TunableLinear
from tunable_models.losses import BlendedLoss, MultiLoss, Term, blend
from tunable_models.metrics import psnr, ssim
from tunable_models.network import TunableNetwork, View, fold, make_tunable
from tunable_models.objectives import L1, MSE, RMSE, Charbonnier, Objective
from tunable_models.sampling import Dirichlet, Sampler, Uniform

__all__ = [
    "L1",
    "MSE",
    "RMSE",
    "Architecture",
    "ArchitectureError",
    "BasisName",
    "BlendedLoss",
    "Charbonnier",
    "Control",
    "ControlSpace",
    "ConversionError",
    "Dirichlet",
    "ImageContract",
    "MultiLoss",
    "Objective",
    "OmegaError",
    "Sampler",
    "Term",
    "TunableConv2d",
    "TunableConvTranspose2d",
    "TunableError",
    "TunableLinear",
    "TunableNetwork",
    "Uniform",
    "View",
    "blend",
    "build",
    "fold",
    "get_architecture",
    "list_architectures",
    "make_tunable",
    "psnr",
    "ssim",
]
