"""Tasks that a caller of :func:`pipelines.train` makes: of functions, and as they are given."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Self

import torch
from pydantic import PrivateAttr
from torch import Tensor

from pipelines.core.errors import ConfigError
from pipelines.core.random_streams import generator
from pipelines.tasks.distances import negative_db
from pipelines.tasks.registry import TaskOptions
from pipelines.tasks.task import Example, Key, Task
from tunable_models import BlendedLoss, ControlSpace, Loss, blend
from tunable_models.losses.loss import check_names

Degrade = Callable[[Tensor, torch.Generator], Mapping[str, Tensor]]
"""From photographs (B, 3, sH, sW), RGB in [0, 1], to pictures by name: ``input`` (B, 3, H, W) and, of the
photographs' size, what the loss compares with besides ``clean``. Random numbers come from the generator, on
the CPU, alone."""


class CustomTask(Task):
    """A task of two functions: what a photograph is turned into, and the loss.

    A control is measured by the loss: turning it up lowers the loss of the setting with that control at its
    upper end (on a simplex: with that control alone), in dB.

    Args:
        name: in records and entries.
        space: of the controls, all of kind ``objective``.
        degrade: makes ``input`` and further targets.
        loss: from the output, the targets by name and omega (B, P) to (B,): a
            :class:`~tunable_models.BlendedLoss`, a :class:`~tunable_models.MultiLoss`, or a callable.
        description: one sentence for people.
        scale: side of the output over side of the input.

    Raises:
        ConfigError: a control describes the input: its strengths would have to be drawn with omega, which a
            subclass of :class:`Task` does.
    """

    def __init__(
        self,
        name: str,
        *,
        space: ControlSpace,
        degrade: Degrade,
        loss: Loss | Callable[[Tensor, Mapping[str, Tensor], Tensor], Tensor],
        description: str = "",
        scale: int = 1,
    ) -> None:
        conditions = [control.name for control in space.controls if control.kind == "condition"]
        if conditions:
            raise ConfigError(
                f"expected controls that weigh the loss, got {conditions[0]!r}, which describes the input; "
                "write a subclass of pipelines.tasks.Task"
            )
        self.name, self.description = name, description  # type: ignore[misc]  # of a class elsewhere
        self.space, self.scale = space, scale
        self._degrade, self._loss = degrade, loss

    @property
    def levels(self) -> Mapping[str, float]:
        """None: the degradation draws its own strengths."""
        return {}

    def sample(self, clean: Tensor, omega: Tensor, keys: Sequence[Key]) -> Example:
        """Each sample from its own stream, so that it is the same in any batch."""
        rows = [self._make(clean[i : i + 1], key) for i, key in enumerate(keys)]
        names = rows[0].targets
        targets = {name: torch.cat([row.targets[name] for row in rows]) for name in names}
        return Example(torch.cat([row.inputs for row in rows]), targets)

    def degrade(self, clean: Tensor, levels: Mapping[str, float], key: Key) -> Example:
        """All samples from one stream."""
        return self._make(clean, key)

    def _make(self, clean: Tensor, key: Key) -> Example:
        pictures = self._degrade(clean, generator(*key, "degrade"))
        check_names(("input",), pictures)
        made = {name: picture.to(clean) for name, picture in pictures.items()}
        inputs = made["input"]
        wanted = (*clean.shape[:2], *(side // self.scale for side in clean.shape[2:]))
        if inputs.shape != wanted:
            raise ConfigError(
                f"expected degrade of task {self.name!r} to make an input of shape {tuple(wanted)} from "
                f"photographs {tuple(clean.shape)}, got {tuple(inputs.shape)}"
            )
        if self.scale > 1:
            del made["input"]  # no target: it has another size
        return Example(inputs, {**made, "clean": clean})

    def shares(self, output: Tensor, example: Example, omega: Tensor) -> Mapping[str, Tensor]:
        """What each objective of the loss adds; the whole loss if it does not tell."""
        if hasattr(self._loss, "shares"):
            shares: Mapping[str, Tensor] = self._loss.shares(output, example.targets, omega)
            return shares
        loss = self._loss(output, example.targets, omega)
        if loss.shape != (len(output),):
            raise ConfigError(
                f"expected the loss of task {self.name!r} to return one number a sample, ({len(output)},), "
                f"got shape {tuple(loss.shape)}; average over the other dimensions only"
            )
        return {"loss": loss}

    def target(self, example: Example, omega: Tensor) -> Tensor | None:
        """The blended target of a :class:`~tunable_models.BlendedLoss`; None for other losses."""
        if not isinstance(self._loss, BlendedLoss):
            return None
        return blend(self.space, [example.targets[name] for name in self._loss.targets], omega)

    def progress(self, output: Tensor, example: Example, omega: Tensor, control: int) -> Tensor:
        """The loss of the setting with the control at its upper end, (B,) in dB; less loss is more."""
        upper = torch.zeros_like(omega) if self.space.kind == "simplex" else omega.clone()
        upper[:, control] = 1
        return negative_db(self.loss(output, example, upper))

    def to(self, device: torch.device) -> Self:
        """Move the networks inside the loss."""
        if hasattr(self._loss, "to"):
            self._loss = self._loss.to(device)
        return self


class GivenTask(TaskOptions):
    """A task itself in place of options that name one; it travels with a job, and no file can hold it."""

    name: str

    _task: Task = PrivateAttr()
    _code: str = PrivateAttr()

    @classmethod
    def of(cls, task: Task, code: str) -> Self:
        """The options that stand for a task.

        Args:
            task: of any class.
            code: SHA-256 of what it computes, its code and its values.
        """
        config = cls(name=task.name)
        config._task, config._code = task, code
        return config

    @property
    def code(self) -> str:
        """SHA-256 of what the task computes; part of a run's identity, as code is."""
        return self._code

    def make(self) -> Task:
        """A copy of the task as it was given, which may be moved to a device."""
        return copy.deepcopy(self._task)
