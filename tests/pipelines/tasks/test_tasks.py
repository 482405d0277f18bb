"""What every task promises, swept over all of them."""

import pytest
import torch
from torch import Tensor

from pipelines.recipes import TASKS as RECIPES
from pipelines.tasks import TASKS, Example, Key, Task, list_tasks, make_task
from tiny_tasks import NAMES, tiny_config, tiny_task

KEYS: list[Key] = [(0, 7, index) for index in range(3)]


def clean(side: int = 24) -> Tensor:
    """Smooth pictures with some texture, (3, 3, side, side)."""
    stream = torch.Generator().manual_seed(0)
    coarse = torch.rand(3, 3, 4, 4, generator=stream)
    large = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")
    return (0.8 * large + 0.2 * torch.rand(3, 3, side, side, generator=stream)).mul(255).round() / 255


def vertex(task: Task, index: int, count: int = 3) -> Tensor:
    return torch.tensor(task.space.vertices[index]).expand(count, -1)


@pytest.fixture(params=NAMES)
def task(request: pytest.FixtureRequest) -> Task:
    return tiny_task(request.param)


def sampled(task: Task) -> Example:
    return task.sample(clean(), vertex(task, -1), KEYS)


def test_the_list_the_options_and_the_recipes_name_the_same_tasks() -> None:
    assert [task.config_class.model_fields["name"].default for task in TASKS] == NAMES == list_tasks()
    assert len(set(NAMES)) == len(NAMES) == 7
    assert sorted(RECIPES) == sorted(NAMES)
    for kind in TASKS:
        assert type(make_task(tiny_config(kind.name))) is kind


def test_it_says_what_it_is(task: Task) -> None:
    assert task.description.endswith(".")
    for control in task.space.controls:
        assert control.description
        assert control.metric
    assert all(strength >= 0 for strength in task.levels.values())


def test_examples_fit_the_scale_and_hold_the_clean_picture(task: Task) -> None:
    for example in (sampled(task), task.degrade(clean(), task.levels, (0, "test"))):
        assert torch.equal(example.targets["clean"], clean())
        assert example.inputs.shape == (3, 3, 24 // task.scale, 24 // task.scale)
        assert all(target.shape == (3, 3, 24, 24) for target in example.targets.values())
        assert torch.isfinite(example.inputs).all()


def test_degrading_depends_on_the_key_alone(task: Task) -> None:
    first, again = (task.degrade(clean(), task.levels, (0, "test")) for _ in range(2))
    assert torch.equal(first.inputs, again.inputs)
    assert all(torch.equal(first.targets[name], again.targets[name]) for name in first.targets)
    other = task.degrade(clean(), task.levels, (1, "test"))
    assert torch.equal(other.inputs, first.inputs) == (not task.levels)


def test_a_sample_does_not_depend_on_its_batch(task: Task) -> None:
    whole = sampled(task)
    for index in range(3):
        one = task.sample(clean()[index : index + 1], vertex(task, -1, 1), KEYS[index : index + 1])
        torch.testing.assert_close(one.inputs[0], whole.inputs[index])
        for name, target in one.targets.items():
            torch.testing.assert_close(target[0], whole.targets[name][index])


def test_the_loss_is_a_finite_number_a_sample_that_pulls_the_output(task: Task) -> None:
    example = sampled(task)
    for index in range(len(task.space.vertices)):
        output = (clean() + 0.05 * torch.randn(clean().shape)).requires_grad_()
        loss = task.loss(output, example, vertex(task, index))
        assert loss.shape == (3,)
        assert torch.isfinite(loss).all()
        loss.sum().backward()
        assert output.grad is not None
        assert torch.isfinite(output.grad).all()
        assert (output.grad.abs().amax((1, 2, 3)) > 0).all()


def test_objective_controls_change_the_loss(task: Task) -> None:
    example = sampled(task)
    output = clean() + 0.05 * torch.randn(clean().shape)
    losses = [task.loss(output, example, vertex(task, i)) for i in range(len(task.space.vertices))]
    objective = any(control.kind == "objective" for control in task.space.controls)
    assert all(torch.equal(losses[0], other) for other in losses[1:]) != objective


def test_progress_and_measures_are_numbers_a_sample(task: Task) -> None:
    example = sampled(task)
    for output in (clean(), torch.zeros_like(clean()), clean() + torch.randn(clean().shape)):
        with torch.inference_mode():
            for control in range(len(task.space)):
                progress = task.progress(output, example, vertex(task, 0), control)
                assert progress.shape == (3,)
                assert torch.isfinite(progress).all()
            for values in task.measures(output, example).values():
                assert values.shape == (3,)
                assert torch.isfinite(values).all()


def test_progress_rises_on_the_way_to_what_the_control_asks_for(task: Task) -> None:
    """From the input to the aim of the setting with the control up, in five steps."""
    example = task.degrade(clean(), task.levels, (0, "test"))
    start = torch.nn.functional.interpolate(example.inputs, scale_factor=task.scale, mode="bilinear")
    for control in range(len(task.space)):
        upper = torch.zeros(3, len(task.space))
        upper[:, control] = 1
        aim = task.target(example, upper)
        if aim is None:
            continue
        way = [torch.lerp(start, aim, part) for part in (0.0, 0.25, 0.5, 0.75, 1.0)]
        values = torch.stack([task.progress(output, example, upper, control) for output in way])
        assert (values.diff(dim=0) > 0.1).all()


def test_condition_controls_say_which_strength_they_stand_for(task: Task) -> None:
    conditions = [control for control in task.space.controls if control.kind == "condition"]
    matched = task.matched(task.space.omega())
    assert (matched is not None) == bool(conditions)
    assert set(matched or {}) <= set(task.levels)


def test_nothing_is_read_before_it_is_needed() -> None:
    trunk = {"layers": ("relu1_1",), "weights": "nowhere.pth"}
    assert make_task(tiny_config("super-resolution", trunk=trunk)).scale == 2
    assert make_task(tiny_config("style-transfer", styles={"a": "no.png", "b": "none.png"})).space.names == (
        "a",
        "b",
    )


def test_tasks_name_what_they_take_from_outside(task: Task) -> None:
    outside = {"super-resolution": ["trunk"], "style-transfer": ["trunk", "style tissue"]}
    for material in outside.get(task.name, []):
        assert task.materials[material]
    assert bool(task.materials) == (task.name in outside)
