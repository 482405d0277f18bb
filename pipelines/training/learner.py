"""The network of a run and its optimizers: the part of the loop that a checkpoint holds."""

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
from pipelines.training.collectives import average_gradients, broadcast_weights, wrap_ddp
from pipelines.training.config import TrainConfig
from pipelines.training.phases import Phases, Span
from tunable_models import CriticStep, TunableNetwork

CRITIC_BETAS = (0.5, 0.999)
"""Less momentum in an adversarial game: Radford et al., https://arxiv.org/abs/1511.06434."""

LEAST_SCALE = 2.0**-14
"""Of float16 gradients: below it they are lost even when nothing overflows."""

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

BFLOAT16_CPUS = ("amx_bf16", "avx512_bf16", "bf16")
"""Names in torch of the capabilities of CPUs with bfloat16 arithmetic; the last is ARM's."""


class Forward(nn.Module):
    """The network's forward pass in training: precision, memory format and compilation.

    It holds the network as ``network``, and no tensors of its own.
    """

    def __init__(self, network: TunableNetwork, config: TrainConfig) -> None:
        super().__init__()
        self.network = network
        self._dtype, self._group = DTYPES[config.precision], config.sampling.group
        self._channels_last = config.compute.channels_last
        self._compiled = torch.compile(network) if config.compute.compile else None

    def forward(self, inputs: Tensor, omega: Tensor) -> Tensor:
        """Outputs (B, 3, sH, sW) in float32.

        Args:
            inputs: (B, 3, H, W).
            omega: (B, P); the rows of a group are equal and adjacent.
        """
        if self._channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        with torch.autocast(inputs.device.type, self._dtype, enabled=self._dtype != torch.float32):
            if self._compiled is None:
                outputs: Tensor = self.network(inputs, omega=omega)
            else:
                outputs = self._run_groups(self._compiled, inputs, omega)
        return outputs.float()

    def _run_groups(self, compiled: Callable[..., Tensor], inputs: Tensor, omega: Tensor) -> Tensor:
        # Compiled code cannot branch on the values of omega, and would run every sample alone.
        groups = zip(torch.split(inputs, self._group), omega[:: self._group], strict=True)
        return torch.cat([compiled(own, omega=shared) for own, shared in groups])


@dataclass(frozen=True)
class Step:
    """Loss and gradient norm of a step on this worker; scalars on the device, detached.

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
        task: already on the device.
        root: where relative paths in the network's options start.
        workers: how many share every batch.
    """

    def __init__(
        self, config: TrainConfig, task: Task, device: torch.device, root: Path = Path(), workers: int = 1
    ) -> None:
        self._task, self._config, self._workers, self._device = task, config, workers, device
        self._reduces_itself = workers > 1 and device.type != "cuda"
        self.network: TunableNetwork = config.network.make(task.space, config.seed, root).to(device)
        if config.compute.channels_last:
            self.network.to(memory_format=torch.channels_last)
        self._phases = Phases(config.network.method, task.space, config.steps)
        self._own = {name: p for name, p in self.network.named_parameters() if p.requires_grad}
        self._trained = list(self._own.values())
        # Tunable networks have hundreds of tensors; fused, their update is one call.
        self._optimizer = Adam(self._trained, lr=config.optimizer.lr, fused=True)
        self._scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "float16")
        self._norm = torch.zeros((), device=device)
        self._average = None if config.ema_decay is None else _make_average(self.network, config.ema_decay)
        self._critic = task.critic
        if self._critic is not None:
            lr = config.optimizer.critic_lr
            self._critic_optimizer = Adam(self._critic.parameters(), lr=lr, betas=CRITIC_BETAS, fused=True)
        self._set_position(0)

    def _set_position(self, done: int) -> None:
        """Set how many steps are done, and so the learning rate of the next one."""
        self.done = done
        for group in self._optimizer.param_groups:
            group["lr"] = self.lr

    @property
    def lr(self) -> float:
        """Learning rate of the next step."""
        return self._phases.at(self.done).learning_rate(self._config.optimizer, self.done)

    @property
    def result(self) -> TunableNetwork:
        """The network to validate and publish: the moving average, or the trained one."""
        averaged: TunableNetwork | None = None if self._average is None else self._average.module  # type: ignore[assignment]
        return averaged or self.network

    def start(self) -> None:
        """Prepare for steps, once every worker has initialized or loaded the weights; collective."""
        if self._reduces_itself:
            modules = (self.network, self._average, self._critic)
            broadcast_weights(nn.ModuleList(module for module in modules if module is not None))
        self._begin(self._phases.at(self.done))
        self._critic_step = None
        if self._critic is not None:
            self._critic_step = CriticStep(self._wrap(self._critic), self._critic_optimizer)
            self._critic_optimizer.register_step_pre_hook(self._average_critic)

    def _begin(self, span: Span) -> None:
        """Begin or resume a phase; a later one starts from the published weights, with a fresh optimizer."""
        self._span = span
        if span.first and self.done == span.first:
            if self._average is not None:
                self.network.load_state_dict(self._average.module.state_dict())
            self._optimizer.state.clear()
        chosen = self._phases.select(self._own, span.phase)
        for name, parameter in self._own.items():
            parameter.requires_grad_(name in chosen)
        self._trained = [parameter for parameter in self._own.values() if parameter.requires_grad]
        self._model = self._wrap(Forward(self.network, self._config))

    def _wrap(self, module: nn.Module) -> nn.Module:
        return wrap_ddp(module, self._device, self._workers)

    def _average_critic(self, *_: Any) -> None:
        if self._reduces_itself and self._critic is not None:
            average_gradients(self._critic.parameters())

    def step(self, micro_batches: Sequence[Batch]) -> Step:
        """Take one optimizer step on this worker's micro-batches.

        Raises:
            TrainingError: no scale fits the gradients of float16.
        """
        if self._phases.at(self.done) is not self._span:
            self._begin(self._phases.at(self.done))
        self._optimizer.zero_grad()
        outputs, shares = [], dict[str, Tensor]()
        for number, batch in enumerate(micro_batches, start=1):
            with self._no_sync() if number < len(micro_batches) else nullcontext():
                output, added = self._backward(batch)
            outputs.append(output)
            shares = {name: shares.get(name, 0) + value for name, value in added.items()}
        norm = self._update()
        if self._critic_step is not None:
            clean = torch.cat([batch.example.targets["clean"] for batch in micro_batches])
            self._critic_step(clean, torch.cat(outputs), weight=self._weight(len(clean)))
        return Step(shares, norm)

    def _backward(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        torch.manual_seed(stream_seed(*batch.key))  # for the network's own draws, such as dropout
        output = self._model(batch.example.inputs, batch.omega)
        shares = self._task.shares(output, batch.example, batch.omega)
        values = torch.stack(list(shares.values())).sum(1) / self._config.batch_size
        # The workers' gradients are averaged, those of micro-batches are added.
        self._scaler.scale(values.sum() * self._workers).backward()  # type: ignore[no-untyped-call]
        return output.detach(), dict(zip(shares, values.detach().unbind(), strict=True))

    def _no_sync(self) -> AbstractContextManager[None]:
        """Keep gradients on the worker while more micro-batches follow."""
        model = self._model
        return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()

    def _update(self) -> Tensor:
        if self._reduces_itself:
            average_gradients(self._trained)
        self._scaler.unscale_(self._optimizer)
        norm = nn.utils.clip_grad_norm_(self._trained, self._config.optimizer.clip_norm)
        self._scaler.step(self._optimizer)
        self._scaler.update()
        self._set_position(self.done + 1)
        if self._average is not None:
            self._average.update_parameters(self.network)
        return self._last_finite(norm)

    def _last_finite(self, norm: Tensor) -> Tensor:
        """The norm; that of the step before where a float16 overflow skipped this one."""
        if not self._scaler.is_enabled():
            return norm
        if self._scaler.get_scale() < LEAST_SCALE:
            raise TrainingError(
                f"float16 gradients are non-finite at every loss scale at step {self.done}; set "
                "train.precision to bfloat16 or float32, or lower train.optimizer.lr"
            )
        self._norm = torch.where(norm.isfinite(), norm, self._norm)
        return self._norm

    def _weight(self, samples: int) -> float:
        """Weight of this worker's mean in the mean over workers; 1 where all have as many samples."""
        return samples * self._workers / self._config.batch_size

    def state(self) -> dict[str, Any]:
        """The state to checkpoint.

        ``position`` and ``streams`` replace random states: every stream is keyed, see
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
            # Of the unwrapped critic, so that a run can resume with another number of workers.
            state["critic"] = self._critic.state_dict()
            state["critic_optimizer"] = self._critic_optimizer.state_dict()
        return state

    def load(self, state: dict[str, Any]) -> None:
        """Resume from a state; before :meth:`start`."""
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
        self._set_position(state["position"]["step"])


def select_result(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights to publish in the state of a checkpoint, see :attr:`Learner.result`."""
    tensors: dict[str, Tensor] = state["average"]["network"] if "average" in state else state["network"]
    return tensors


def _match_layouts(optimizer: Optimizer) -> None:
    """Give the optimizer's state the memory format of its parameters.

    Fused optimizers pair elements by their position in memory, unchecked, and a checkpoint may come from a
    run with another ``channels_last``.
    """
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if value.shape == parameter.shape:
                state[name] = torch.empty_like(parameter).copy_(value)


def _make_average(network: TunableNetwork, decay: float) -> AveragedModel:
    mean = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(network, multi_avg_fn=mean).requires_grad_(False)


def suggest_precision(config: TrainConfig) -> tuple[str, str] | None:
    """What is slow about the run's precision on this machine's CPU, and what to set; None if nothing.

    Workers on other nodes or on GPUs are not considered.
    """
    compute = config.compute
    if compute.use_gpu or (compute.runner == "ray" and compute.address is not None):
        return None
    capabilities = torch.cpu.get_capabilities()
    has_it = any(capabilities.get(name, False) for name in BFLOAT16_CPUS)
    if has_it and config.precision == "float32":
        return (
            "this CPU computes in bfloat16, which trains convolutional networks faster than float32",
            "set train.precision: bfloat16 and train.compute.channels_last: true",
        )
    if not has_it and config.precision == "bfloat16":
        return "this CPU has no bfloat16 arithmetic and emulates it slowly", "set train.precision: float32"
    return None
