"""The generator's side of a least-squares GAN.

Mao et al., "Least Squares Generative Adversarial Networks", ICCV 2017, https://arxiv.org/abs/1611.04076.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from tunable_models.objectives.precision import at_least_float32


class Adversarial(nn.Module):
    """How far a critic is from taking the output for real: mean of (D(output) - 1)^2.

    It needs no target. The critic's parameters get no gradient from it;
    :class:`tunable_models.CriticStep` trains them.

    Args:
        critic: maps (B, C, H, W) to scores (B, ...), 1 for real and 0 for fake, each sample by itself. The
            bare module, not its ``DistributedDataParallel``.

    Example:
        >>> from tunable_models import PatchCritic
        >>> critic = PatchCritic(width=8, depth=1)
        >>> output = torch.rand(2, 3, 16, 16, requires_grad=True)
        >>> Adversarial(critic)(output).sum().backward()
        >>> output.grad is not None, any(p.grad is not None for p in critic.parameters())
        (True, False)
    """

    blends_targets: ClassVar[bool] = True
    needs_target: ClassVar[bool] = False

    def __init__(self, critic: nn.Module) -> None:
        super().__init__()
        self.critic = critic

    def forward(self, output: Tensor, target: Tensor | None = None) -> Tensor:
        """(B,) means of (D(output) - 1)^2 over the critic's scores."""
        # Detached parameters rather than requires_grad switched off and on: the critic's own step may be
        # on its way in another graph.
        frozen = {name: parameter.detach() for name, parameter in self.critic.named_parameters()}
        scores: Tensor = torch.func.functional_call(self.critic, frozen, (output,))
        return (at_least_float32(scores) - 1).square().flatten(1).mean(1)
