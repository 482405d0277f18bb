"""Which omega to train on: families of sampling on the box and on the simplex."""

from tunable_models.sampling.beta import Beta
from tunable_models.sampling.corners import Corners
from tunable_models.sampling.dirichlet import Dirichlet, Uniform
from tunable_models.sampling.fixed import Fixed
from tunable_models.sampling.sampler import Sampler
from tunable_models.sampling.schedule import Schedule
from tunable_models.sampling.sobol import Sobol
from tunable_models.sampling.truncated_normal import TruncatedNormal

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
