import pickle

import pytest

from zoo import errors

ERRORS = [value for value in vars(errors).values() if isinstance(value, type)]


@pytest.mark.parametrize("error", ERRORS)
def test_an_error_survives_pickling(error: type[Exception]) -> None:
    copy = pickle.loads(pickle.dumps(error("expected a, got b")))
    assert type(copy) is error
    assert str(copy) == "expected a, got b"
    assert isinstance(copy, errors.ZooError)


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        (errors.EntryNotFoundError, LookupError),
        (errors.EntryExistsError, FileExistsError),
        (errors.ManifestError, ValueError),
        (errors.IntegrityError, ValueError),
        (errors.ImageError, ValueError),
        (errors.ImageTooLargeError, errors.ImageError),
    ],
)
def test_an_error_is_also_a_builtin(error: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(error, builtin)
