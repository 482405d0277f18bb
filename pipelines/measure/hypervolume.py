"""Which points of several objectives are worth having, and how much they cover together.

All objectives are minimised. Point a dominates b if no coordinate of a is larger and one is smaller. The
hypervolume of points A up to a reference r is the volume that they dominate,

    H(A, r) = volume of the union over a in A of the boxes [a_1, r_1] x ... x [a_K, r_K],

where a point that is not below r in every coordinate adds nothing. It is the one common number that grows
whenever a set becomes better in the sense of dominance (Zitzler and Thiele, PPSN 1998,
https://doi.org/10.1007/BFb0056872; IEEE Trans. Evolutionary Computation 3(4), 1999,
https://doi.org/10.1109/4235.797969). Computed exactly by moocore, which sweeps dimension by dimension
(Fonseca, Paquete and Lopez-Ibanez, CEC 2006, https://doi.org/10.1109/CEC.2006.1688440).

Shapes: N points, K objectives.
"""

import moocore
import numpy as np
import numpy.typing as npt

from pipelines.core.errors import DataError

Floats = npt.NDArray[np.floating]


def hypervolume(points: Floats, reference: Floats) -> float:
    """The volume that the points dominate, up to the reference.

    Args:
        points: (N, K), N >= 0 and K >= 1, finite; in any order, dominated ones and duplicates included.
        reference: (K,), finite; in the points' units.

    Returns:
        At least 0, the product of the objectives' units; 0 without a point below the reference.

    Raises:
        DataError: other shapes, or a number that is not finite.
    """
    front, corner = _check_points(points), np.asarray(reference, dtype=np.float64)
    if corner.shape != front.shape[1:]:
        raise DataError(
            f"expected a reference for each of the {front.shape[1]} objectives, got shape {corner.shape}"
        )
    _check_finite("the reference", corner)
    within = front[(front < corner).all(axis=1)]
    return float(moocore.hypervolume(within, ref=corner)) if len(within) else 0.0


def non_dominated(points: Floats) -> npt.NDArray[np.bool_]:
    """Which points no other point dominates, (N,); of equal points all are or none.

    Args:
        points: (N, K), N >= 0 and K >= 1, finite.

    Raises:
        DataError: other shapes, or a number that is not finite.
    """
    front = _check_points(points)
    if not len(front):
        return np.zeros(0, dtype=np.bool_)
    return np.asarray(moocore.is_nondominated(front, keep_weakly=True), dtype=np.bool_)


def _check_points(points: Floats) -> npt.NDArray[np.float64]:
    front = np.asarray(points, dtype=np.float64)
    if front.ndim != 2 or front.shape[1] < 1:
        raise DataError(f"expected points (N, K) of at least one objective, got shape {front.shape}")
    _check_finite("points", front)
    return front


def _check_finite(what: str, values: npt.NDArray[np.float64]) -> None:
    odd = values[~np.isfinite(values)]
    if odd.size:
        raise DataError(f"expected finite numbers in {what}, got {odd.size} such as {odd[0]}")
