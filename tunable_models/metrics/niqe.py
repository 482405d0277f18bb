"""NIQE, the natural image quality evaluator: how far a picture is from pristine photographs.

Mittal, Soundararajan and Bovik, "Making a Completely Blind Image Quality Analyzer", IEEE SPL 2013,
https://doi.org/10.1109/LSP.2012.2227726. As in the authors' MATLAB release: grey levels 0 to 255, rounded;
patches of 96 px; two scales; no selection of sharp patches in the picture that is measured.
"""

import torch
from torch import Tensor

from tunable_models.errors import TunableError
from tunable_models.metrics.fidelity import crop_border_px
from tunable_models.metrics.natural_scene import FEATURES, PATCH_PX, patch_features

# MATLAB's rgb2gray, the first row of the inverse of its NTSC matrix.
_GREY = (0.298936021293775, 0.587043074451121, 0.114020904255103)


class NIQE:
    """Distance of pictures from a model of pristine ones: the lower, the more natural.

    Clean photographs have about 2 to 5 under the published model. Computed in float64; not meant to be
    differentiated, since grey levels are rounded and the shape of a distribution is looked up in a table.

    Args:
        mean: (36,), mean features of the pristine patches.
        covariance: (36, 36), their covariance.

    Raises:
        TunableError: the model has other shapes or values that are not finite.

    Example:
        >>> from tunable_models.metrics import NIQE
        >>> metric = NIQE(torch.zeros(36), torch.eye(36))
        >>> picture = torch.rand(1, 3, 96, 192, generator=torch.Generator().manual_seed(0))
        >>> metric(picture).shape
        torch.Size([1])
    """

    def __init__(self, mean: Tensor, covariance: Tensor) -> None:
        if mean.shape != (FEATURES,) or covariance.shape != (FEATURES, FEATURES):
            raise TunableError(
                f"expected a NIQE model of shapes ({FEATURES},) and ({FEATURES}, {FEATURES}), got "
                f"{tuple(mean.shape)} and {tuple(covariance.shape)}"
            )
        if not (mean.isfinite().all() and covariance.isfinite().all()):
            raise TunableError("expected a NIQE model of finite numbers, got NaN or infinity")
        self.mean, self.covariance = mean.double(), covariance.double()

    @torch.no_grad()
    def __call__(self, images: Tensor, *, crop_border: int = 0) -> Tensor:
        """NIQE of each picture, (B,) float64; NaN for one that is flat in all patches but one.

        Args:
            images: (B, 3, H, W) RGB or (B, 1, H, W) grey, in [0, 1]. What is beyond a whole number of
                patches of 96 px, on the right and below, is left out.
            crop_border: pixels left out on each side before that.

        Raises:
            TunableError: other shapes, or fewer than two patches.
        """
        if images.dim() != 4 or images.shape[1] not in (1, 3):
            raise TunableError(f"NIQE needs images (B, 3, H, W) or (B, 1, H, W), got {tuple(images.shape)}")
        grey = _grey_levels(crop_border_px(images, crop_border))
        rows, columns = (side // PATCH_PX for side in grey.shape[-2:])
        if rows * columns < 2:
            raise TunableError(
                f"NIQE needs two patches of {PATCH_PX} px at least, got {tuple(grey.shape[-2:])} px"
            )
        whole = grey[:, :, : rows * PATCH_PX, : columns * PATCH_PX]
        return torch.stack([self._distance(patch_features(image)) for image in torch.split(whole, 1)])

    def _distance(self, features: Tensor) -> Tensor:
        """Of the patches' features (N, 36) from the model."""
        complete = features[~features.isnan().any(1)]
        if len(complete) < 2:
            return features.new_full((), torch.nan)
        # The release takes the mean over whatever numbers there are, the covariance over whole rows.
        difference = self.mean.to(features.device) - features.nanmean(0)
        pooled = (self.covariance.to(features.device) + torch.cov(complete.T)) / 2
        inverse = torch.linalg.pinv(pooled, hermitian=True)
        return torch.sqrt(difference @ inverse @ difference)


def _grey_levels(images: Tensor) -> Tensor:
    """(B, 1, H, W) float64, whole numbers from 0 to 255 for images in [0, 1]."""
    levels = images.double() * 255
    if images.shape[1] == 3:
        share = torch.tensor(_GREY, dtype=levels.dtype, device=levels.device)
        levels = (levels * share.view(3, 1, 1)).sum(1, keepdim=True)
    return levels.round()
