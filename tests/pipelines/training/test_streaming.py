"""Training on photographs that lie at a URL, in shards of which few fit on this machine at a time."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.core.config import parse_section
from pipelines.data.photos import PhotoSet, write_photos
from pipelines.training.checkpoint import CheckpointStore
from pipelines.training.config import TrainConfig
from pipelines.training.loop import Hooks, LoopInputs, run_training_loop

SHARD_BYTES = 2 * 20 * 24 * 3
"""Two photographs."""


def weights(photos: PhotoSet, inputs: LoopInputs, folder: Path) -> torch.Tensor:
    options = inputs.config.model_dump() | {"window": 2, "steps": 12}
    config = parse_section(options, "train", TrainConfig)
    stream = replace(inputs, photos=photos, config=config, store=CheckpointStore(folder, "print"))
    network = run_training_loop(stream, Hooks())
    return torch.cat([parameter.detach().flatten() for parameter in network.parameters()])


@pytest.mark.slow
def test_it_ends_as_on_photographs_that_are_here_and_keeps_few(
    inputs: LoopInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("TUNABLE_CACHE", str(cache))
    random = np.random.default_rng(0)
    pictures = [(f"{i}.png", random.integers(0, 256, (20, 24, 3), dtype=np.uint8)) for i in range(12)]
    here = write_photos(tmp_path / "here", pictures, shard_bytes=SHARD_BYTES)
    away = (tmp_path / "away").as_uri()
    write_photos(tmp_path / "index", pictures, shard_bytes=SHARD_BYTES, destination=away)
    there = PhotoSet.open(tmp_path / "index", cache_bytes=4 * SHARD_BYTES)
    assert there.index.sha256 == here.index.sha256
    assert len(set(there.shards)) == 6

    assert torch.equal(weights(there, inputs, tmp_path / "one"), weights(here, inputs, tmp_path / "two"))
    kept = list(cache.rglob("pixels-*.bin"))
    assert 0 < len(kept) <= 4
