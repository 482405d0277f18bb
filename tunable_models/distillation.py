"""Distillation: the outputs of frozen teacher networks become targets of a loss.

Hinton et al., "Distilling the Knowledge in a Neural Network", 2015, https://arxiv.org/abs/1503.02531; here
the teachers are image-to-image networks and their outputs are matched by any objective. One specialist a
vertex, for example, becomes one tunable network.
"""

from collections.abc import Callable, Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from tunable_models._execution.rebind import View
from tunable_models.errors import ConversionError
from tunable_models.losses.loss import Loss, check_names
from tunable_models.network import TunableNetwork

Teacher = nn.Module | View


class Distillation:
    """A loss some of whose targets are the outputs of frozen networks.

    It is called like the loss inside. The teachers are frozen in place (no gradients, evaluation mode): give
    a copy of a network that is still being trained. They are kept outside any module, so no student's
    parameters or state holds them.

    Args:
        loss: the loss, whose terms name the teachers as their targets.
        teachers: by the name of the target they make. A tunable network runs at the student's
            omega; any other module, or a view of a tunable network at one setting, gets the input alone.
        source: name of the target that is the teachers' input.

    Raises:
        ConversionError: no teacher, one that no term names, or one that is no network.

    Example:
        >>> from tunable_models import L1, MSE, ControlSpace, MultiLoss, Term
        >>> space = ControlSpace.box("denoise")
        >>> terms = [Term(objective=MSE(), target="mild"), Term(objective=MSE(), target="strong")]
        >>> teachers = {"mild": nn.Identity(), "strong": nn.AvgPool2d(3, 1, 1)}
        >>> loss = Distillation(MultiLoss(space, terms), teachers)
        >>> x = torch.ones(2, 3, 8, 8)
        >>> loss(x, {"input": x}, torch.zeros(2, 1))
        tensor([0., 0.])
    """

    def __init__(self, loss: Loss, teachers: Mapping[str, Teacher], source: str = "input") -> None:
        idle = sorted(set(teachers) - loss.target_names)
        if idle or not teachers:
            named = ", ".join(sorted(loss.target_names)) or "none"
            raise ConversionError(
                f"expected teachers by the names of the loss's targets ({named}), got {idle or 'none'}"
            )
        self.loss = loss
        self.teachers = {name: _freeze_teacher(name, teacher) for name, teacher in teachers.items()}
        self.source = source

    @property
    def target_names(self) -> frozenset[str]:
        """The names it looks up among the targets: the loss's less the teachers', and the input's."""
        return (self.loss.target_names - set(self.teachers)) | {self.source}

    def __call__(self, output: Tensor, targets: Mapping[str, Tensor], omega: Tensor) -> Tensor:
        """The loss of every sample.

        Args:
            output: (B, C, H, W), the student's.
            targets: by name, at least those of :attr:`target_names`.
            omega: (B, P), the student's.

        Returns:
            (B,).

        Raises:
            ConversionError: a target is missing.
        """
        return self.loss(output, self._taught(targets, omega), omega)

    def shares(self, output: Tensor, targets: Mapping[str, Tensor], omega: Tensor) -> dict[str, Tensor]:
        """What each objective adds to the loss of every sample, (B,) by name; arguments as of a call."""
        return self.loss.shares(output, self._taught(targets, omega), omega)

    def _taught(self, targets: Mapping[str, Tensor], omega: Tensor) -> dict[str, Tensor]:
        """The targets, and what the teachers make."""
        check_names(self.target_names, targets)
        made = {name: self.ask(name, targets[self.source], omega) for name in self.teachers}
        return {**targets, **made}

    @torch.no_grad()
    def ask(self, name: str, inputs: Tensor, omega: Tensor) -> Tensor:
        """What a teacher makes of inputs (B, C, H, W); without gradients."""
        teacher: Callable[..., Any] = self.teachers[name]
        if not isinstance(teacher, nn.Module):
            return teacher(inputs)  # type: ignore[no-any-return]
        teacher.eval()  # other code that holds it may have set it to train
        if isinstance(teacher, TunableNetwork):
            return teacher(inputs, omega=omega)  # type: ignore[no-any-return]
        return teacher(inputs)  # type: ignore[no-any-return]

    def to(self, device: torch.device | str) -> Self:
        """Move the teachers and the networks inside the loss; returns itself. Views stay where they are."""
        self.loss.to(device)
        for teacher in self.teachers.values():
            if isinstance(teacher, nn.Module):
                teacher.to(device)
        return self


def _freeze_teacher(name: str, teacher: object) -> Teacher:
    if isinstance(teacher, nn.Module):
        return teacher.requires_grad_(False).eval()
    if isinstance(teacher, View):
        return teacher
    raise ConversionError(
        f"expected a network as teacher {name!r}, got {type(teacher).__name__}; "
        "put a function into an nn.Module"
    )
