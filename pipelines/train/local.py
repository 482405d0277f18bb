"""Training in this process, without Ray: a laptop, a notebook, a rented GPU."""

from pathlib import Path

import torch

from pipelines.train.batches import Share
from pipelines.train.checkpoint import CheckpointStore
from pipelines.train.config import TrainConfig
from pipelines.train.loop import Job, train
from pipelines.train.runlog import RunLog
from pipelines.train.samples import Samples


def run_local(config: TrainConfig, photos: Path, folder: Path, fingerprint: str) -> None:
    """Train to the last step; checkpoints, log and sample pictures go below ``folder``."""
    device = torch.device("cuda" if config.compute.use_gpu else "cpu")
    job = Job(
        config=config,
        photos=photos,
        store=CheckpointStore(folder / "checkpoints", fingerprint),
        share=Share(0, 1),
        device=device,
    )
    train(job, RunLog(folder).append, at_checkpoint=Samples(folder, photos, config))
