"""Collectives of two or three processes, and training with them, bit for bit."""

from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, multiprocessing, nn

from pipelines.core.config import parse_section
from pipelines.training.batches import Share
from pipelines.training.checkpoint import CheckpointStore
from pipelines.training.collectives import (
    StopConsensus,
    average_gradients,
    broadcast_weights,
    sum_over_workers,
)
from pipelines.training.config import TrainConfig
from pipelines.training.log import Progress
from pipelines.training.loop import Hooks, LoopInputs, Stopped, run_training_loop

WORKERS = 3
SIZES = {"batch_size": 12, "patch_px": 20, "steps": 12, "log_every": 3, "checkpoint_every": 6}
CRITIC = {
    "task": {
        "name": "super-resolution",
        "scale": 2,
        "adversarial_scale": 0.5,
        "trunk": {"layers": ["relu1_1"]},
        "critic": {"width": 2, "depth": 1},
    },
    "network": {"architecture": "edsr", "config": {"width": 4, "blocks": 1, "scale": 2}},
    "ema_decay": 0.9,
    "precision": "bfloat16",
    "optimizer": {"warmup_steps": 1, "critic_lr": 0.01},
    "compute": {"runner": "local", "accumulate": 2},
}


def work(rank: int, meet: Path, jobs: dict[str, LoopInputs]) -> None:
    """What each of them does."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meet}", rank=rank, world_size=WORKERS)
    sum_anywhere(rank)
    average(rank)
    share(rank)
    for name, inputs in jobs.items():
        run(replace(inputs, share=Share(rank, WORKERS)), meet.parent / name)
    dist.barrier()
    dist.destroy_process_group()


def numbers(rank: int) -> Tensor:
    return torch.randn(1000, generator=torch.Generator().manual_seed(rank))


def sum_anywhere(rank: int) -> None:
    wanted = (numbers(0) + numbers(1)) + numbers(2)
    for start in (0, 7, 500):  # wherever a number stands in the buffer
        assert torch.equal(sum_over_workers(numbers(rank).roll(start)).roll(-start), wanted)


def average(rank: int) -> None:
    """Of gradients of any layout in memory, also where a worker has none."""
    flat, images = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(2, 3, 4, 5))
    images.data = images.data.contiguous(memory_format=torch.channels_last)
    flat.grad = None if rank == 1 else torch.full((3,), 3.0)
    grown = torch.arange(120.0).view(2, 3, 4, 5)
    images.grad = (grown * rank).contiguous(memory_format=torch.channels_last)
    average_gradients([flat, images])
    assert flat.grad is not None
    assert torch.equal(flat.grad, torch.full((3,), 2.0))
    assert torch.equal(images.grad, grown)


def share(rank: int) -> None:
    """Weights and counters, also where one was made in another way."""
    norm = nn.BatchNorm2d(3)
    with torch.no_grad():
        norm.weight += rank
        norm.num_batches_tracked += rank
    broadcast_weights(norm)
    assert torch.equal(norm.weight, torch.ones(3))
    assert norm.num_batches_tracked == 0


def run(inputs: LoopInputs, folder: Path) -> None:
    """Once to the end, and once with a stop on the way."""
    whole, halves = list[Progress](), list[Progress]()
    run_training_loop(inputs, Hooks(report=whole.append))
    again = replace(inputs, store=CheckpointStore(folder / "again", "print"))
    steps = count()
    with pytest.raises(Stopped):
        run_training_loop(again, Hooks(report=halves.append, stop=lambda: next(steps) >= 4))
    run_training_loop(again, Hooks(report=halves.append))
    assert curve(halves) == curve(whole)
    dist.barrier()  # behind the last checkpoint, which worker 0 writes
    assert_equal(inputs.store.load(inputs.config.steps), again.store.load(inputs.config.steps))
    if inputs.is_main:
        torch.save(curve(whole), folder / "curve")


def curve(points: list[Progress]) -> list[tuple[float, float]]:
    return [(point.loss, point.grad_norm) for point in points]


def assert_equal(one: Any, two: Any) -> None:
    """Two states, bit for bit."""
    if isinstance(one, Tensor):
        assert torch.equal(one, two)
    elif isinstance(one, dict):
        assert one.keys() == two.keys()
        for key in one:
            assert_equal(one[key], two[key])
    else:
        assert one == two


@pytest.mark.slow
def test_they_stop_go_on_bit_for_bit_and_agree_with_one(inputs: LoopInputs, tmp_path: Path) -> None:
    jobs, alone = dict[str, LoopInputs](), dict[str, list[Progress]]()
    for name, options in {"plain": {}, "critic": CRITIC}.items():
        config = parse_section(inputs.config.model_dump() | SIZES | options, "train", TrainConfig)
        jobs[name] = replace(inputs, config=config, store=CheckpointStore(tmp_path / name / "whole", "print"))
        one = replace(jobs[name], store=CheckpointStore(tmp_path / name / "alone", "print"))
        alone[name] = []
        run_training_loop(one, Hooks(report=alone[name].append))
    multiprocessing.spawn(work, (tmp_path / "meet", jobs), WORKERS)  # type: ignore[no-untyped-call]
    for name, rounding in {"plain": 1e-4, "critic": 0.05}.items():  # bfloat16 has eight bits
        losses = [loss for loss, _ in torch.load(tmp_path / name / "curve")]
        assert losses == pytest.approx([point.loss for point in alone[name]], rel=rounding)


CPU = torch.device("cpu")


def test_one_worker_stops_at_once() -> None:
    assert [StopConsensus(lambda request=request: request, 1, CPU)() for request in (True, False)] == [
        True,
        False,
    ]


def poll_as_one_of_two(rank: int, folder: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    requests = iter([False, False, rank == 1, False, False])
    consensus = StopConsensus(lambda: next(requests), 2, CPU)
    answers = [consensus() for _ in range(5)]
    consensus.close()
    torch.save(answers, folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_all_workers_stop_a_step_after_the_request_of_one(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(poll_as_one_of_two, (tmp_path,), nprocs=2)  # type: ignore[no-untyped-call]
    for rank in range(2):
        assert torch.load(tmp_path / f"{rank}.pt") == [False, False, False, True, False]
