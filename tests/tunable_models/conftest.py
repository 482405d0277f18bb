import pytest

from networks import tunable
from tunable_models import TunableNetwork


@pytest.fixture(params=["linear", "affine", "delta", "multilinear"])
def network(request: pytest.FixtureRequest) -> TunableNetwork:
    return tunable(request.param)
