"""Which omega to train on: families of sampling on the box and on the simplex."""

from tunable_models.sampling.corners import Corners
from tunable_models.sampling.distributions import Beta, Dirichlet, TruncatedNormal, Uniform
from tunable_models.sampling.sampler import Sampler
from tunable_models.sampling.schedule import Fixed, Schedule
from tunable_models.sampling.sobol import Sobol

__all__ = [
    "Beta",
    "Corners",
    "Dirichlet",
    "Fixed",
    "Sampler",
    "Schedule",
    "Sobol",
    "TruncatedNormal",
    "Uniform",
]
