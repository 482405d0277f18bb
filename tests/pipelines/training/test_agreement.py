from pathlib import Path

import pytest
import torch
import torch.multiprocessing
from torch import distributed as dist

from pipelines.training.agreement import Agreement

CPU = torch.device("cpu")


def test_one_worker_gets_its_wish_at_once() -> None:
    assert [Agreement(lambda wish=wish: wish, 1, CPU)() for wish in (True, False)] == [True, False]


def one_of_two(rank: int, folder: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    wishes = iter([False, False, rank == 1, False, False])
    agreed = Agreement(lambda: next(wishes), 2, CPU)
    answers = [agreed() for _ in range(5)]
    agreed.close()
    torch.save(answers, folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_all_follow_one_a_step_later(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(one_of_two, (tmp_path,), nprocs=2)  # type: ignore[no-untyped-call]
    for rank in range(2):
        assert torch.load(tmp_path / f"{rank}.pt") == [False, False, False, True, False]
