"""A network and what trains it: the part of the loop that a checkpoint holds."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR

from pipelines.tasks import Task
from pipelines.train.batches import Batch
from pipelines.train.config import OptimizerConfig, TrainConfig
from tunable_models import CriticStep, TunableNetwork

CRITIC_BETAS = (0.5, 0.999)
"""Less momentum for what plays against another: Radford et al., https://arxiv.org/abs/1511.06434."""

Wrap = Callable[[nn.Module], nn.Module]


class Learner:
    """The network of a run, its optimizer, and the task's critic with its own.

    Args:
        config: of the run.
        task: moved to the device already.
        device: of the network.
        root: where relative paths in the network's options start.
    """

    def __init__(self, config: TrainConfig, task: Task, device: torch.device, root: Path = Path()) -> None:
        self._task, self._clip_norm = task, config.optimizer.clip_norm
        self.network: TunableNetwork = config.network.make(task.space, config.seed, root).to(device)
        self._trained = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        # Tunable networks have hundreds of tensors; fused, their update is one call.
        self._optimizer = Adam(self._trained, lr=config.optimizer.lr, fused=True)
        self._scheduler = LambdaLR(self._optimizer, schedule(config.optimizer, config.steps))
        self._critic = task.critic
        if self._critic is not None:
            lr = config.optimizer.critic_lr
            self._critic_optimizer = Adam(self._critic.parameters(), lr=lr, betas=CRITIC_BETAS, fused=True)

    @property
    def lr(self) -> float:
        """Learning rate of the next step."""
        return float(self._scheduler.get_last_lr()[0])

    def wrap(self, wrap: Wrap) -> None:
        """Make the workers' gradients one, from here on; the weights are in place."""
        self._model = wrap(self.network)
        self._play = None if self._critic is None else CriticStep(wrap(self._critic), self._critic_optimizer)

    def step(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """One step; the loss before it and the gradient's norm before clipping, both detached scalars."""
        output = self._model(batch.example.inputs, omega=batch.omega)
        loss = self._task.loss(output, batch.example, batch.omega).mean()
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self._trained, self._clip_norm)
        self._optimizer.step()
        self._scheduler.step()
        if self._play is not None:
            self._play(batch.example.targets["clean"], output)
        return loss.detach(), norm

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds. No random state: every stream is keyed, see pipelines.streams."""
        state = {
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scheduler": self._scheduler.state_dict(),
        }
        if self._critic is not None:
            # Of the bare critic, so that a run may go on with another number of workers.
            state["critic"] = self._critic.state_dict()
            state["critic_optimizer"] = self._critic_optimizer.state_dict()
        return state

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state; before :meth:`wrap`."""
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._scheduler.load_state_dict(state["scheduler"])
        if self._critic is not None:
            self._critic.load_state_dict(state["critic"])
            self._critic_optimizer.load_state_dict(state["critic_optimizer"])


def schedule(config: OptimizerConfig, steps: int) -> Callable[[int], float]:
    """Factor of the learning rate: linear warm-up, then half a cosine to zero."""

    def factor(step: int) -> float:
        if step < config.warmup_steps:
            return (step + 1) / config.warmup_steps
        part = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, part)))

    return factor
