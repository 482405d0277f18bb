"""Tunable networks: kernels that a few numbers mix, so that a slider steers a trained network.

After Maggioni et al., "Tunable Convolutions with Parametric Multi-Loss Optimization", CVPR 2023,
https://arxiv.org/abs/2304.00898. This package needs torch and nothing else.

Where to start:

- Make a network tunable: :func:`make_tunable`, with sliders from :class:`ControlSpace`; plain networks come
  from :func:`build`, and :mod:`tunable_models.bases` has the ways in which omega blends kernels.
- Train it: :class:`BlendedLoss` and :class:`MultiLoss` weigh objectives such as :class:`L1` by omega,
  samplers such as :class:`Dirichlet` draw omega, :func:`from_specialists` starts from networks that exist.
- Use it: :meth:`TunableNetwork.at` and :func:`fold` fix a setting, :func:`to_onnx` and
  :func:`export_program` write the network down for other programs.

Example:
    >>> sliders = ControlSpace.box("denoise", "deblur")
    >>> net = make_tunable(build("drunet", widths=[4, 8], blocks=1), sliders)
    >>> net(torch.rand(4, 3, 16, 16), omega=torch.rand(4, 2)).shape
    torch.Size([4, 3, 16, 16])
"""

from tunable_models._execution.rebind import View
from tunable_models.architectures import (
    Architecture,
    ImageContract,
    build,
    get_architecture,
    list_architectures,
    list_presets,
    register_architecture,
)
from tunable_models.controls import Control, ControlSpace
from tunable_models.distillation import Distillation
from tunable_models.errors import ArchitectureError, ConversionError, OmegaError, TunableError
from tunable_models.export import export_program, to_onnx
from tunable_models.folding import fold
from tunable_models.layers import (
    TunableConv1d,
    TunableConv2d,
    TunableConv3d,
    TunableConvTranspose1d,
    TunableConvTranspose2d,
    TunableConvTranspose3d,
    TunableLinear,
    TunableParameter,
)
from tunable_models.loading import load_checkpoint, load_network
from tunable_models.losses import BlendedLoss, Loss, MultiLoss, Term, blend
from tunable_models.metrics import NIQE, psnr, ssim
from tunable_models.network import TunableNetwork, make_tunable
from tunable_models.objectives import (
    L1,
    MSE,
    PSNR,
    RMSE,
    SSIM,
    Adversarial,
    Charbonnier,
    Features,
    Frequency,
    GramStyle,
    Objective,
    Perceptual,
    TotalVariation,
    get_objective,
    gram,
    list_objectives,
    register_objective,
)
from tunable_models.objectives.adversarial import CriticStep, PatchCritic
from tunable_models.sampling import (
    Beta,
    Corners,
    Dirichlet,
    Fixed,
    Sampler,
    Schedule,
    Sobol,
    TruncatedNormal,
    Uniform,
)
from tunable_models.spec import NetworkSpec
from tunable_models.warm_start import WarmStart, from_specialists

__all__ = [
    "L1",
    "MSE",
    "NIQE",
    "PSNR",
    "RMSE",
    "SSIM",
    "Adversarial",
    "Architecture",
    "ArchitectureError",
    "Beta",
    "BlendedLoss",
    "Charbonnier",
    "Control",
    "ControlSpace",
    "ConversionError",
    "Corners",
    "CriticStep",
    "Dirichlet",
    "Distillation",
    "Features",
    "Fixed",
    "Frequency",
    "GramStyle",
    "ImageContract",
    "Loss",
    "MultiLoss",
    "NetworkSpec",
    "Objective",
    "OmegaError",
    "PatchCritic",
    "Perceptual",
    "Sampler",
    "Schedule",
    "Sobol",
    "Term",
    "TotalVariation",
    "TruncatedNormal",
    "TunableConv1d",
    "TunableConv2d",
    "TunableConv3d",
    "TunableConvTranspose1d",
    "TunableConvTranspose2d",
    "TunableConvTranspose3d",
    "TunableError",
    "TunableLinear",
    "TunableNetwork",
    "TunableParameter",
    "Uniform",
    "View",
    "WarmStart",
    "blend",
    "build",
    "export_program",
    "fold",
    "from_specialists",
    "get_architecture",
    "get_objective",
    "gram",
    "list_architectures",
    "list_objectives",
    "list_presets",
    "load_checkpoint",
    "load_network",
    "make_tunable",
    "psnr",
    "register_architecture",
    "register_objective",
    "ssim",
    "to_onnx",
]
