"""Pictures that come inside the scikit-image package: demonstrations need no download."""

from importlib.util import find_spec
from pathlib import Path

from pipelines.core.errors import DataError


def bundled(name: str, instead: str) -> Path:
    """Where a picture of the scikit-image package lies.

    Args:
        name: of the file.
        instead: what a user without the package can do, to end a sentence with.

    Raises:
        DataError: the package is not installed.
    """
    # Looked up, not imported: the package's own loader would reach for the network.
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise DataError(
            f"expected the scikit-image package for its picture {name!r}, got none installed; "
            f"run `pip install scikit-image` or {instead}"
        )
    return Path(spec.origin).parent / "data" / name
