"""A network and what trains it: the part of the loop that a checkpoint holds."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Adam, Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from pipelines.core.errors import TrainingError
from pipelines.core.random_streams import stream_seed
from pipelines.tasks import Task
from pipelines.training.batches import Batch
from pipelines.training.config import OptimizerConfig, TrainConfig
from pipelines.training.forward import Forward
from pipelines.training.reduction import average_gradients, overlapped, share_weights
from tunable_models import CriticStep, TunableNetwork

CRITIC_BETAS = (0.5, 0.999)
"""Less momentum for what plays against another: Radford et al., https://arxiv.org/abs/1511.06434."""

LEAST_SCALE = 2.0**-14
"""Of float16 gradients: below it they are lost even when nothing overflows."""


@dataclass(frozen=True)
class Step:
    """What a step came to on this worker; scalars on the device, detached.

    Attributes:
        shares: what each objective added to the loss before the step, by name; over all workers their sum
            is the mean loss of the batch.
        norm: of the whole gradient before clipping, equal on all workers.
    """

    shares: Mapping[str, Tensor]
    norm: Tensor


class Learner:
    """The network of a run, its optimizer, its moving average, and the task's critic with its own.

    Args:
        config: of the run.
        task: moved to the device already.
        device: of the network.
        root: where relative paths in the network's options start.
        workers: how many share every batch.
    """

    def __init__(
        self, config: TrainConfig, task: Task, device: torch.device, root: Path = Path(), workers: int = 1
    ) -> None:
        self._task, self._config, self._workers, self._device = task, config, workers, device
        self._meets = workers > 1 and device.type != "cuda"
        self.network: TunableNetwork = config.network.make(task.space, config.seed, root).to(device)
        if config.compute.channels_last:
            self.network.to(memory_format=torch.channels_last)
        self._trained = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        # Tunable networks have hundreds of tensors; fused, their update is one call.
        self._optimizer = Adam(self._trained, lr=config.optimizer.lr, fused=True)
        self._schedule = schedule(config.optimizer, config.steps)
        self._scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "float16")
        self._norm = torch.zeros((), device=device)
        self._average = None if config.ema_decay is None else _averaged(self.network, config.ema_decay)
        self._critic = task.critic
        if self._critic is not None:
            lr = config.optimizer.critic_lr
            self._critic_optimizer = Adam(self._critic.parameters(), lr=lr, betas=CRITIC_BETAS, fused=True)
        self._go_to(0)

    def _go_to(self, done: int) -> None:
        """Set the position: how many steps are done, and the rate of the next one."""
        self.done = done
        for group in self._optimizer.param_groups:
            group["lr"] = self.lr

    @property
    def lr(self) -> float:
        """Learning rate of the next step."""
        return self._config.optimizer.lr * self._schedule(self.done)

    @property
    def result(self) -> TunableNetwork:
        """What is validated and published: the moving average, or the network itself."""
        averaged: TunableNetwork | None = None if self._average is None else self._average.module  # type: ignore[assignment]
        return averaged or self.network

    def start(self) -> None:
        """Get ready for steps; the weights are in place, on every worker."""
        if self._meets:
            modules = (self.network, self._average, self._critic)
            share_weights(nn.ModuleList(module for module in modules if module is not None))
        self._model = self._overlapped(Forward(self.network, self._config))
        self._play = None
        if self._critic is not None:
            self._play = CriticStep(self._overlapped(self._critic), self._critic_optimizer)
            self._critic_optimizer.register_step_pre_hook(self._average_critic)

    def _overlapped(self, module: nn.Module) -> nn.Module:
        return overlapped(module, self._device, self._workers)

    def _average_critic(self, *_: Any) -> None:
        if self._meets and self._critic is not None:
            average_gradients(self._critic.parameters())

    def step(self, portions: Sequence[Batch]) -> Step:
        """One step from this worker's portions of the batch.

        Raises:
            TrainingError: no scale fits the gradients of float16.
        """
        self._optimizer.zero_grad()
        outputs, shares = [], dict[str, Tensor]()
        for number, batch in enumerate(portions, start=1):
            with self._alone() if number < len(portions) else nullcontext():
                output, added = self._backward(batch)
            outputs.append(output)
            shares = {name: shares.get(name, 0) + value for name, value in added.items()}
        norm = self._update()
        if self._play is not None:
            clean = torch.cat([batch.example.targets["clean"] for batch in portions])
            self._play(clean, torch.cat(outputs), weight=self._part(len(clean)))
        return Step(shares, norm)

    def _backward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        torch.manual_seed(stream_seed(*batch.key))  # of what the network itself draws, such as dropout
        output = self._model(batch.example.inputs, batch.omega)
        shares = self._task.shares(output, batch.example, batch.omega)
        values = torch.stack(list(shares.values())).sum(1) / self._config.batch_size
        # The workers' gradients are averaged, the portions' are added.
        self._scaler.scale(values.sum() * self._workers).backward()  # type: ignore[no-untyped-call]
        return output.detach(), dict(zip(shares, values.detach().unbind(), strict=True))

    def _alone(self) -> AbstractContextManager[None]:
        """While more portions follow, gradients stay with the worker."""
        model = self._model
        return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()

    def _update(self) -> Tensor:
        if self._meets:
            average_gradients(self._trained)
        self._scaler.unscale_(self._optimizer)
        norm = nn.utils.clip_grad_norm_(self._trained, self._config.optimizer.clip_norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._go_to(self.done + 1)
        if self._average is not None:
            self._average.update_parameters(self.network)
        return self._sound(norm)

    def _sound(self, norm: Tensor) -> Tensor:
        """The norm; that of the step before where an overflow of float16 made this one no step."""
        if not self._scaler.is_enabled():
            return norm
        if self._scaler.get_scale() < LEAST_SCALE:
            raise TrainingError(
                f"no scale fits the gradients of float16 at step {self.done}; set train.precision to "
                "bfloat16 or float32, or lower train.optimizer.lr"
            )
        self._norm = torch.where(norm.isfinite(), norm, self._norm)
        return self._norm

    def _part(self, samples: int) -> float:
        """How much this worker's mean counts in the mean over workers; 1 where all have as many samples."""
        return samples * self._workers / self._config.batch_size

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds.

        ``position`` and ``streams`` are all there is to random states: every stream is keyed, see
        :mod:`pipelines.core.random_streams`; and the learning rate is a function of the position.
        """
        state = {
            "position": {"step": self.done, "samples": self.done * self._config.batch_size},
            "streams": {"seed": self._config.seed},
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
        }
        if self._average is not None:
            state["average"] = {
                "network": self._average.module.state_dict(),
                "updates": int(self._average.n_averaged),
            }
        if self._critic is not None:
            # Of the bare critic, so that a run may go on with another number of workers.
            state["critic"] = self._critic.state_dict()
            state["critic_optimizer"] = self._critic_optimizer.state_dict()
        return state

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state; before :meth:`start`."""
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        _match_layouts(self._optimizer)
        self._scaler.load_state_dict(state["scaler"])
        if self._average is not None:
            self._average.module.load_state_dict(state["average"]["network"])
            self._average.n_averaged.fill_(state["average"]["updates"])
        if self._critic is not None:
            self._critic.load_state_dict(state["critic"])
            self._critic_optimizer.load_state_dict(state["critic_optimizer"])
        self._go_to(state["position"]["step"])


def result_of(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights that a checkpoint's state publishes, see :attr:`Learner.result`."""
    tensors: dict[str, Tensor] = state["average"]["network"] if "average" in state else state["network"]
    return tensors


def _match_layouts(optimizer: Optimizer) -> None:
    """Lay the optimizer's state out like its parameters.

    Fused optimizers pair elements by their place in memory, without a check, and a checkpoint may come from
    a run with another ``channels_last``.
    """
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter).copy_(value)


def _averaged(network: TunableNetwork, decay: float) -> AveragedModel:
    mean = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(network, multi_avg_fn=mean).requires_grad_(False)


def schedule(config: OptimizerConfig, steps: int) -> Callable[[int], float]:
    """Factor of the learning rate: linear warm-up, then half a cosine to zero."""

    def factor(step: int) -> float:
        if step < config.warmup_steps:
            return (step + 1) / config.warmup_steps
        part = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
        return 0.5 * (1 + math.cos(math.pi * min(1.0, part)))

    return factor
