"""How good a picture is: against a reference (PSNR, SSIM) and without one (NIQE)."""

from tunable_models.metrics.luma import luma
from tunable_models.metrics.niqe import NIQE
from tunable_models.metrics.psnr import psnr
from tunable_models.metrics.ssim import SSIM_WINDOW_PX, ssim

__all__ = ["NIQE", "SSIM_WINDOW_PX", "luma", "psnr", "ssim"]
