"""Adversarial training: a patch critic, the step that trains it, and the generator's objective.

The critic is that of Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks",
CVPR 2017, https://arxiv.org/abs/1611.07004: its scores judge overlapping patches, 70x70 px at depth 3. The
loss is that of Mao et al., "Least Squares Generative Adversarial Networks", ICCV 2017,
https://arxiv.org/abs/1611.04076.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from tunable_models.errors import ConversionError, TunableError
from tunable_models.objectives.objective import at_least_float32


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


class PatchCritic(nn.Module):
    """Scores for patches of an image, 1 for real and 0 for fake.

    Convolutions of 4x4 px: ``depth`` of stride 2, then two of stride 1, so that a score sees 70 px at
    depth 3, 34 at 2, 16 at 1. Widths double up to eight times the first. Instance normalisation where the
    paper has batch normalisation, so that samples are judged one by one.

    Args:
        channels: of the images.
        width: channels of the first convolution.
        depth: number of strided convolutions.

    Raises:
        ConversionError: a size that is not positive.

    Example:
        >>> PatchCritic(width=8)(torch.rand(2, 3, 64, 48)).shape
        torch.Size([2, 1, 6, 4])
    """

    def __init__(self, channels: int = 3, width: int = 64, depth: int = 3) -> None:
        super().__init__()
        for name, value in (("channels", channels), ("width", width), ("depth", depth)):
            if value < 1:
                raise ConversionError(f"expected PatchCritic's {name} to be at least 1, got {value}")
        self.min_side_px = 3 * 2**depth
        """Below this no score, or one value to normalise, would be left."""
        widths = [width * min(2**level, 8) for level in range(depth + 1)]
        layers: list[nn.Module] = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for level in range(1, depth + 1):
            stride = 2 if level < depth else 1
            # The normalisation that follows takes a bias away again.
            layers += [nn.Conv2d(widths[level - 1], widths[level], 4, stride, 1, bias=False)]
            layers += [nn.InstanceNorm2d(widths[level], affine=True), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Scores (B, 1, H', W') of images (B, C, H, W), about one for every 2^depth px.

        Raises:
            TunableError: images of another shape, or too small.
        """
        if images.dim() != 4 or min(images.shape[-2:]) < self.min_side_px:
            raise TunableError(
                f"PatchCritic expected (B, C, H, W) with sides of {self.min_side_px} px at least, got "
                f"{tuple(images.shape)}; use larger patches or a smaller depth"
            )
        scores: Tensor = self.layers(images)
        return scores


class CriticStep:
    """One optimizer step of a critic against what the generator makes now.

    Call it once for every step of the generator, with the same outputs, after the generator's backward pass.
    The loss is half of mean (D(real) - 1)^2 + mean D(fake)^2.

    Args:
        critic: maps (B, C, H, W) to scores; the one that ``Adversarial`` holds, or its
            ``DistributedDataParallel``.
        optimizer: of the critic's parameters and no others.

    Raises:
        ConversionError: the optimizer's parameters are not the critic's.

    Example:
        >>> critic = PatchCritic(width=8, depth=1)
        >>> step = CriticStep(critic, torch.optim.Adam(critic.parameters(), lr=2e-4, betas=(0.5, 0.999)))
        >>> real, fake = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16, requires_grad=True)
        >>> step(real, fake).shape, fake.grad is None
        (torch.Size([]), True)
    """

    def __init__(self, critic: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        theirs = {parameter for group in optimizer.param_groups for parameter in group["params"]}
        ours = {parameter for parameter in critic.parameters() if parameter.requires_grad}
        if theirs != ours:
            raise ConversionError(
                f"expected an optimizer of the critic's {len(ours)} parameters, got one of {len(theirs)}, "
                f"{len(theirs & ours)} of them the critic's; make it with critic.parameters() alone"
            )
        self.critic = critic
        self.optimizer = optimizer

    def __call__(self, real: Tensor, fake: Tensor, weight: float = 1.0) -> Tensor:
        """One step; the loss before it, a detached scalar.

        Args:
            real: (B, C, H, W) targets.
            fake: (B', C, H, W) outputs; they are detached here.
            weight: of the loss, for processes that average their gradients and have unequal parts of a
                batch: the own share of the samples times the number of processes.

        Raises:
            TunableError: the images' shapes differ.
        """
        if real.shape[1:] != fake.shape[1:]:
            raise TunableError(
                f"CriticStep expected real and fake images of one shape (C, H, W), got "
                f"{tuple(real.shape[1:])} and {tuple(fake.shape[1:])}"
            )
        self.optimizer.zero_grad()
        with torch.enable_grad():
            loss = weight * self._loss(real.detach(), fake.detach())
            torch.autograd.backward(loss)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss.detach()

    def _loss(self, real: Tensor, fake: Tensor) -> Tensor:
        # One call, so that DistributedDataParallel averages the gradients of both.
        scores = at_least_float32(self.critic(torch.cat([real, fake])))
        at_real, at_fake = scores[: len(real)], scores[len(real) :]
        return ((at_real - 1).square().mean() + at_fake.square().mean()) / 2

    def state_dict(self) -> dict[str, Any]:
        """The critic's weights and the optimizer's state, to resume from."""
        return {"critic": self.critic.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state; see :meth:`state_dict`.

        Raises:
            ConversionError: the state is not one of a critic's step.
        """
        if set(state) != {"critic", "optimizer"}:
            raise ConversionError(
                f"expected the state of a critic's step, with 'critic' and 'optimizer', got {sorted(state)}"
            )
        self.critic.load_state_dict(state["critic"])
        self.optimizer.load_state_dict(state["optimizer"])
