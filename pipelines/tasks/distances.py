"""Distances to a target, by the names that options give them."""

from typing import Literal

from tunable_models import L1, MSE, RMSE, Charbonnier, Objective

Distance = Literal["l1", "charbonnier", "mse", "rmse"]

DISTANCES: dict[Distance, Objective] = {
    "l1": L1(),
    "charbonnier": Charbonnier(),
    "mse": MSE(),
    "rmse": RMSE(),
}
