import pickle

import pytest

from tunable_models import ArchitectureError, ConversionError, OmegaError, TunableError


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [(OmegaError, ValueError), (ConversionError, TypeError), (ArchitectureError, ValueError)],
)
def test_errors_are_builtins_too_and_survive_pickling(
    kind: type[Exception], builtin: type[Exception]
) -> None:
    error = pickle.loads(pickle.dumps(kind("expected 1, got 2")))
    assert isinstance(error, TunableError)
    assert isinstance(error, builtin)
    assert str(error) == "expected 1, got 2"
