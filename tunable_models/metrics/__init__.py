"""How good a picture is: against a reference (PSNR, SSIM) and without one (NIQE)."""

from tunable_models.metrics.fidelity import SSIM_WINDOW_PX, luma, psnr, ssim
from tunable_models.metrics.niqe import NIQE

__all__ = ["NIQE", "SSIM_WINDOW_PX", "luma", "psnr", "ssim"]
