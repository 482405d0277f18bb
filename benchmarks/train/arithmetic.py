"""What two cores of a machine are worth: arithmetic that never leaves a core's own cache.

Cores of a virtual machine may be two halves of one, and what they share shows here without any training.
"""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from benchmarks.train.points import Point, read_points, write_points
from benchmarks.train.turns import Contender

SIDE = 64
"""Three float32 matrices of this side are 48 KiB."""

PRODUCTS = 20_000
"""In each point."""


def arithmetic(folder: Path, count: int) -> Contender:
    """So many processes that multiply matrices; their "images" are thousands of products.

    Args:
        folder: empty.
        count: how many.
    """
    folder.mkdir()
    paths = [folder / f"{rank}.jsonl" for rank in range(count)]
    return Contender(
        [partial(_multiply, path) for path in paths], lambda: [read_points(path) for path in paths]
    )


def _multiply(path: Path) -> None:
    torch.set_num_threads(1)
    write_points(_products(), path)


def _products() -> Iterator[Point]:
    left, right, into = torch.randn(3, SIDE, SIDE).unbind()
    while True:
        began = time.perf_counter()
        for _ in range(PRODUCTS):
            torch.mm(left, right, out=into)
        yield Point(time.time(), time.perf_counter() - began, PRODUCTS / 1000)
