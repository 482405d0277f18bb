"""Losses that omega weighs.

Shapes: B samples, P controls, V vertices; output (B, C, H, W), targets by name, omega (B, P), losses (B,).
"""

from tunable_models.losses.blended_loss import BlendedLoss, blend
from tunable_models.losses.loss import Loss
from tunable_models.losses.multi_loss import MultiLoss
from tunable_models.losses.terms import Term

__all__ = ["BlendedLoss", "Loss", "MultiLoss", "Term", "blend"]
