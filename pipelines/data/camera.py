"""What a camera does to a picture: sensor noise, and JPEG compression.

Both on 8-bit pixels (H, W, 3), as a camera writes them. The noise has two sources of equal variance at
mid grey: photons, whose count is a Poisson variable of linear light (Foi et al., "Practical
Poissonian-Gaussian noise modeling and fitting for single-image raw-data", IEEE TIP 2008,
https://doi.org/10.1109/TIP.2008.2001399), and reading, which is Gaussian.
"""

from pipelines.data.transforms import Pixels, Seeded, albumentations

GAMMA = 2.2
MID_GREY = 0.5


def sensor_noise(picture: Pixels, sigma: float, seed: int) -> Pixels:
    """Noise with a standard deviation of sigma / 255 at mid grey; 0 leaves the picture as it is."""
    if sigma == 0:
        return picture
    made = albumentations()
    share = sigma / 255 / 2**0.5
    photons = _photons(share)
    shot = made.ShotNoise(scale_range=(photons, photons), p=1.0)
    reading = made.GaussNoise(std_range=(share, share), per_channel=True, p=1.0)
    return Seeded([shot, reading])(picture, seed)


def jpeg(picture: Pixels, quality: int) -> Pixels:
    """The picture after JPEG at a quality of 1 to 100."""
    compression = albumentations().ImageCompression(
        compression_type="jpeg", quality_range=(quality, quality), p=1.0
    )
    return Seeded([compression])(picture, seed=0)


def _photons(std: float) -> float:
    """The light of one photon for which mid grey has that standard deviation after gamma."""
    light: float = MID_GREY**GAMMA
    slope = MID_GREY / (GAMMA * light)
    return (std / slope) ** 2 / light
