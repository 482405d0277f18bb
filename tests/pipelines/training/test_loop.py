import math
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import torch

from pipelines.core.config import parse_section
from pipelines.core.errors import TrainingError
from pipelines.core.layout import Layout
from pipelines.data.photos import write_photos
from pipelines.tasks import make_task
from pipelines.training.checkpoint import CheckpointStore
from pipelines.training.config import TrainConfig
from pipelines.training.learner import select_result
from pipelines.training.log import Progress
from pipelines.training.loop import Hooks, LoopInputs, Stopped, run_training_loop
from tunable_models import TunableNetwork


class Crash(Exception):
    """The machine fails here."""


def weights(network: TunableNetwork) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


def crash_after(step: int, points: list[Progress]) -> Hooks:
    def report(progress: Progress) -> None:
        points.append(progress)
        if progress.step == step:
            raise Crash

    return Hooks(report=report)


def stop_at(step: int, points: list[Progress]) -> Hooks:
    asked: list[None] = []

    def stop() -> bool:
        asked.append(None)
        return len(asked) >= step

    return Hooks(report=points.append, stop=stop)


def curve(points: list[Progress]) -> list[tuple[Any, ...]]:
    return [(p.step, p.epoch, p.loss, p.shares, p.lr, p.grad_norm) for p in points]


def other(inputs: LoopInputs, **options: Any) -> LoopInputs:
    """The same run, or one with other options, from the start."""
    config = parse_section(inputs.config.model_dump() | options, "train", TrainConfig)
    return replace(
        inputs, config=config, store=CheckpointStore(inputs.photos.folder.parents[2] / "other", "print")
    )


def test_training_changes_every_kernel_and_reports(inputs: LoopInputs) -> None:
    points: list[Progress] = []
    network = run_training_loop(inputs, Hooks(report=points.append))
    assert [point.step for point in points] == [2, 4, 6]
    assert [point.epoch for point in points] == [4, 8, 12]  # 4 of 2 photographs a step
    for point in points:
        assert math.isfinite(point.loss)
        assert point.images_per_s > 0
        assert point.memory_gb > 0.01
        assert point.shares == {"RMSE": point.loss}
        assert (point.workers, point.validation) == (1, {})
    before = inputs.config.network.make(make_task(inputs.config.task).space, inputs.config.seed)
    for (name, old), new in zip(before.named_parameters(), network.parameters(), strict=True):
        assert not torch.equal(old, new), name


EVERYTHING = {"ema_decay": 0.9, "precision": "float16", "optimizer": {"warmup_steps": 1}}


@pytest.mark.parametrize("options", [{}, EVERYTHING, {"precision": "bfloat16"}])
def test_a_run_that_crashed_goes_on_bit_for_bit(inputs: LoopInputs, options: dict[str, Any]) -> None:
    inputs, again = replace(inputs, config=other(inputs, **options).config), other(inputs, **options)
    whole: list[Progress] = []
    expected = run_training_loop(inputs, Hooks(report=whole.append))
    halves: list[Progress] = []
    with pytest.raises(Crash):
        run_training_loop(again, crash_after(4, halves))
    assert again.store.newest() == 2  # step 4 was reported, and not yet saved
    resumed = run_training_loop(again, Hooks(report=halves.append))
    assert torch.equal(weights(resumed), weights(expected))
    assert curve(halves) == [*curve(whole)[:2], *curve(whole)[1:]]


@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_a_run_that_was_stopped_goes_on_bit_for_bit_from_that_very_step(
    inputs: LoopInputs, step: int
) -> None:
    options = {"log_every": 3, "checkpoint_every": 3}
    inputs, again = replace(inputs, config=other(inputs, **options).config), other(inputs, **options)
    whole: list[Progress] = []
    expected = run_training_loop(inputs, Hooks(report=whole.append))
    halves: list[Progress] = []
    with pytest.raises(Stopped) as stopped:
        run_training_loop(again, stop_at(step, halves))
    assert stopped.value.step == again.store.newest() == step
    resumed = run_training_loop(again, Hooks(report=halves.append))
    assert torch.equal(weights(resumed), weights(expected))
    assert curve(halves) == curve(whole)


def test_a_run_goes_on_bit_for_bit_with_another_log_and_other_checkpoints(inputs: LoopInputs) -> None:
    expected = run_training_loop(inputs, Hooks())
    points: list[Progress] = []
    with pytest.raises(Stopped):
        run_training_loop(other(inputs, log_every=4, checkpoint_every=4), stop_at(3, points))
    seldom = other(inputs, log_every=1, checkpoint_every=5)
    assert torch.equal(weights(run_training_loop(seldom, Hooks(report=points.append))), weights(expected))
    assert [point.step for point in points] == [4, 5, 6]


def test_a_wish_to_stop_at_the_end_is_granted_by_the_end(inputs: LoopInputs) -> None:
    points: list[Progress] = []
    run_training_loop(inputs, stop_at(6, points))
    assert [point.step for point in points] == [2, 4, 6]


def test_a_finished_run_does_nothing_again(inputs: LoopInputs) -> None:
    expected = run_training_loop(inputs, Hooks())
    points: list[Progress] = []
    assert torch.equal(weights(run_training_loop(inputs, Hooks(report=points.append))), weights(expected))
    assert not points


@pytest.mark.parametrize("stop", [6, 1])
def test_a_loss_that_is_no_number_is_an_error_and_is_not_saved(inputs: LoopInputs, stop: int) -> None:
    optimizer = {"lr": 1e30, "clip_norm": 1e30, "warmup_steps": 0}
    wild = other(inputs, optimizer=optimizer, checkpoint_every=6, log_every=6)
    with pytest.raises(TrainingError, match=r"train\.optimizer\.lr"):
        run_training_loop(wild, stop_at(stop + 1, []))
    assert wild.store.newest() is None


def test_portions_change_the_order_of_sums_alone(inputs: LoopInputs) -> None:
    whole, parts = list[Progress](), list[Progress]()
    one = run_training_loop(inputs, Hooks(report=whole.append))
    two = run_training_loop(
        other(inputs, compute={"runner": "local", "accumulate": 2}), Hooks(report=parts.append)
    )
    torch.testing.assert_close(weights(two), weights(one), atol=1e-5, rtol=1e-4)
    assert [point.loss for point in parts] == pytest.approx([point.loss for point in whole], rel=1e-5)


def test_the_layout_of_images_changes_the_order_of_sums_alone(inputs: LoopInputs) -> None:
    one = run_training_loop(inputs, Hooks())
    two = run_training_loop(other(inputs, compute={"runner": "local", "channels_last": True}), Hooks())
    torch.testing.assert_close(weights(two), weights(one), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("at_first", [False, True])
def test_a_run_may_resume_in_another_layout(inputs: LoopInputs, at_first: bool) -> None:
    """Optimizers pair moments and weights by their place in memory."""
    expected = run_training_loop(inputs, Hooks())
    for channels_last, hooks in ((at_first, stop_at(3, [])), (not at_first, Hooks())):
        laid_out = other(inputs, compute={"runner": "local", "channels_last": channels_last})
        with suppress(Stopped):
            network = run_training_loop(laid_out, hooks)
    torch.testing.assert_close(weights(network), weights(expected), atol=1e-5, rtol=1e-4)


def test_the_moving_average_is_what_comes_out_and_is_saved(inputs: LoopInputs) -> None:
    seen: list[torch.Tensor] = []
    averaged = other(inputs, ema_decay=0.5)
    network = run_training_loop(
        averaged, Hooks(at_checkpoint=lambda step, shown: seen.append(weights(shown)))
    )
    plain = run_training_loop(inputs, Hooks())
    assert not torch.allclose(weights(network), weights(plain))
    assert torch.equal(seen[-1], weights(network))
    state = averaged.store.load(6)
    assert torch.equal(state["network"]["network.head.0.weight"], plain.state_dict()["network.head.0.weight"])
    for name, tensor in select_result(state).items():
        assert torch.equal(tensor, network.state_dict()[name])


def test_validation_reports_numbers_and_changes_nothing(inputs: LoopInputs, layout: Layout) -> None:
    held_out = write_photos(layout.prepare / "validation", [("v.png", inputs.photos[0].copy())])
    points: list[Progress] = []
    looked = replace(other(inputs, validation={"every": 4, "crop_px": 16}), validation=held_out)
    expected = run_training_loop(inputs, Hooks())
    assert torch.equal(weights(run_training_loop(looked, Hooks(report=points.append))), weights(expected))
    assert [bool(point.validation) for point in points] == [False, True, True]
    last = points[-1].validation
    assert set(last["at"]) == {f"denoise {d} deblur {b}" for d in (0, 1) for b in (0, 1)}
    assert last["psnr"] == pytest.approx(sum(at["psnr"] for at in last["at"].values()) / 4)


def test_an_empty_set_is_not_looked_at(inputs: LoopInputs) -> None:
    points: list[Progress] = []
    run_training_loop(replace(inputs, validation=None), Hooks(report=points.append))
    assert not any(point.validation for point in points)


def test_pictures_are_asked_for_at_checkpoints(inputs: LoopInputs) -> None:
    steps: list[int] = []
    run_training_loop(inputs, Hooks(at_checkpoint=lambda step, network: steps.append(step)))
    assert steps == [2, 4, 6]


def test_ready_comes_before_the_first_step(inputs: LoopInputs) -> None:
    events: list[str] = []
    run_training_loop(
        inputs, Hooks(ready=lambda: events.append("ready"), report=lambda p: events.append(f"{p.step}"))
    )
    assert events == ["ready", "2", "4", "6"]
