"""The published model of NIQE, read from a file.

The authors' release has it as ``modelparameters.mat``; the common form in Python is an .npz with the arrays
``mu_pris_param`` (1, 36), ``cov_pris_param`` (36, 36) and ``gaussian_window`` (7, 7). We ship neither.
"""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipelines.core.errors import DataError
from tunable_models import TunableError
from tunable_models.metrics import NIQE
from tunable_models.metrics.natural_scene import gaussian_window

WINDOW_TOLERANCE = 1e-6

_NAMES = ("mu_pris_param", "cov_pris_param")


def load_niqe(path: Path) -> NIQE:
    """NIQE with the model of an .npz file.

    Args:
        path: the file; ``mu_pris_param`` may be (36,) or (1, 36), ``gaussian_window`` may be missing.

    Raises:
        DataError: the file is missing, is not an .npz of plain arrays, lacks an array, or its arrays do not
            make a model of NIQE.
    """
    arrays = _read_arrays(path)
    if "gaussian_window" in arrays and not _is_niqe_window(_require_floats(arrays, "gaussian_window", path)):
        raise DataError(
            f"{path}: gaussian_window is not the 7x7 window of sigma 7/6 that NIQE is defined with"
        )
    try:
        mean, covariance = (torch.from_numpy(_require_floats(arrays, name, path)) for name in _NAMES)
        return NIQE(mean.flatten(), covariance)
    except TunableError as error:
        raise DataError(f"{path}: {error}") from error


def _read_arrays(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"expected the model of NIQE (.npz) in {path}, found no such file")
    try:
        # Opened here, since numpy leaves an archive open that it cannot read.
        with path.open("rb") as stream:
            loaded = np.load(stream, allow_pickle=False)
            return {name: loaded[name] for name in _list_names(loaded)}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not an .npz file of plain arrays: {error}") from error


def _list_names(loaded: Any) -> list[str]:
    if isinstance(loaded, np.ndarray):
        raise ValueError("it holds a single array")
    return list(loaded.files)


def _require_floats(arrays: dict[str, Any], name: str, path: Path) -> Any:
    if name not in arrays:
        raise DataError(f"{path}: expected the array {name}, found {', '.join(arrays) or 'none'}")
    array = arrays[name]
    if array.dtype.kind != "f":
        raise DataError(f"{path}: expected {name} in floating point, got {array.dtype}")
    return np.array(array, dtype=np.float64)


def _is_niqe_window(got: Any) -> bool:
    wanted = gaussian_window().numpy()
    return got.shape == wanted.shape and bool(np.allclose(got, wanted, rtol=0, atol=WINDOW_TOLERANCE))
