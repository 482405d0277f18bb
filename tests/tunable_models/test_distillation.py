import pytest
import torch
from torch import Tensor, nn

from tunable_models import (
    L1,
    MSE,
    BlendedLoss,
    ControlSpace,
    ConversionError,
    Distillation,
    MultiLoss,
    Term,
    make_tunable,
)

SPACE = ControlSpace.box("a")
X = torch.rand(3, 3, 6, 6, generator=torch.Generator().manual_seed(0))
OMEGA = torch.tensor([[0.0], [0.5], [1.0]])


def specialist(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 3, 1), nn.Dropout(0.5))


def between(names: tuple[str, str] = ("mild", "strong")) -> MultiLoss:
    return MultiLoss(SPACE, [Term(objective=MSE(), target=name) for name in names])


def test_the_teachers_outputs_are_the_targets() -> None:
    teachers = {"mild": specialist(1), "strong": specialist(2)}
    inner = between()
    value = Distillation(inner, teachers)(X, {"input": X}, OMEGA)
    targets = {name: teacher[0](X) for name, teacher in teachers.items()}  # type: ignore[index]
    torch.testing.assert_close(value, inner(X, targets, OMEGA))


def test_teachers_may_stand_beside_given_targets() -> None:
    teacher = specialist(1)
    loss = Distillation(between(("teacher", "clean")), {"teacher": teacher}, source="noisy")
    assert loss.target_names == {"noisy", "clean"}
    value = loss(X, {"noisy": X, "clean": X / 2}, OMEGA)
    expected = between(("teacher", "clean"))(X, {"teacher": teacher(X), "clean": X / 2}, OMEGA)
    torch.testing.assert_close(value, expected)


def test_teachers_are_frozen_whoever_trains_them() -> None:
    teachers = {"mild": specialist(1), "strong": specialist(2)}
    loss = Distillation(between(), teachers)
    for teacher in teachers.values():
        teacher.train().requires_grad_()
    student = nn.Conv2d(3, 3, 1)
    loss(student(X), {"input": X}, OMEGA).sum().backward()
    assert student.weight.grad is not None
    for teacher in teachers.values():
        assert not teacher.training
        assert all(parameter.grad is None for parameter in teacher.parameters())


def test_a_student_does_not_own_its_teachers() -> None:
    student = nn.Conv2d(3, 3, 1)
    student.loss = Distillation(between(), {"mild": specialist(1), "strong": specialist(2)})  # type: ignore[assignment]
    assert sum(1 for _ in student.parameters()) == 2
    assert set(student.state_dict()) == {"weight", "bias"}


def tunable(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    net = make_tunable(nn.Conv2d(3, 3, 3, padding=1), SPACE)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_()
    return net


class Smooth:
    """Something beside the teacher, so that the slider lives."""

    blends_targets, needs_target = True, False

    def __call__(self, output: Tensor, target: Tensor | None = None) -> Tensor:
        return output.square().flatten(1).mean(1)


def test_a_tunable_teacher_is_asked_at_the_student_s_omega() -> None:
    teacher = tunable(1)
    terms = [Term(objective=objective, target="teacher") for objective in (L1(), MSE())]
    loss = Distillation(MultiLoss(SPACE, terms), {"teacher": teacher})
    for index in range(3):
        row = slice(index, index + 1)
        asked = loss.ask("teacher", X, OMEGA)[row]
        torch.testing.assert_close(asked, teacher(X[row], omega=OMEGA[index]))
    exact = teacher(X, omega=OMEGA)
    assert loss(exact, {"input": X}, OMEGA).abs().max() < 1e-5
    assert loss(exact, {"input": X}, OMEGA.flip(0)).max() > 0.1


def test_a_view_is_a_teacher_at_its_own_setting() -> None:
    teacher = tunable(1)
    views = {"mild": teacher.at(a=0.2), "strong": teacher.at(a=0.9)}  # type: ignore[operator]
    loss = Distillation(between(), views)
    torch.testing.assert_close(loss.ask("mild", X, OMEGA), teacher(X, omega=torch.tensor([0.2])))


def test_specialists_become_one_student() -> None:
    """Two 1x1 convolutions at the ends; the student meets both, and their blend between."""
    teachers = {"mild": specialist(1), "strong": specialist(2)}
    loss = Distillation(BlendedLoss(SPACE, MSE(), ("mild", "strong")), teachers)
    student = make_tunable(nn.Conv2d(3, 3, 1), SPACE)
    optimizer = torch.optim.Adam(student.parameters(), lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        loss(student(X, omega=OMEGA), {"input": X}, OMEGA).mean().backward()
        optimizer.step()
    assert loss(student(X, omega=OMEGA), {"input": X}, OMEGA).max() < 1e-4


def test_moves_teachers_and_loss() -> None:
    teachers = {"mild": specialist(1), "strong": tunable(2).at(a=1.0)}  # type: ignore[operator]
    loss = Distillation(between(), teachers)
    assert loss.to("meta") is loss
    assert next(teachers["mild"].parameters()).is_meta


def test_teachers_without_use_are_an_error() -> None:
    for teachers in ({}, {"mild": specialist(1), "other": specialist(2)}):
        with pytest.raises(ConversionError, match=r"\(mild, strong\)"):
            Distillation(between(), teachers)
    with pytest.raises(ConversionError, match="network as teacher 'mild'"):
        Distillation(between(), {"mild": torch.sin, "strong": specialist(1)})  # type: ignore[dict-item]


def test_missing_targets_are_an_error() -> None:
    loss = Distillation(between(), {"mild": specialist(1)})
    with pytest.raises(ConversionError, match="'input', 'strong', got none"):
        loss(X, {}, OMEGA)
