"""Training in this process, without Ray: a laptop, a notebook, a rented GPU."""

from pathlib import Path

import torch

from pipelines.errors import ConfigError
from pipelines.train.batches import Share
from pipelines.train.checkpoint import CheckpointStore
from pipelines.train.config import TrainConfig
from pipelines.train.loop import Job, train
from pipelines.train.runlog import RunLog
from pipelines.train.samples import Samples


def run_local(config: TrainConfig, photos: Path, folder: Path, fingerprint: str, root: Path = Path()) -> None:
    """Train to the last step; checkpoints, log and sample pictures go below ``folder``.

    Args:
        config: of the run.
        photos: folder of training photographs.
        folder: state of this run.
        fingerprint: of this run.
        root: where relative paths in the options start.

    Raises:
        ConfigError: a GPU is asked for and torch finds none.
    """
    if config.compute.use_gpu and not torch.cuda.is_available():
        raise ConfigError("train.compute.use_gpu asks for a GPU, torch finds none; set it to false")
    job = Job(
        config=config,
        photos=photos,
        store=CheckpointStore(folder / "checkpoints", fingerprint),
        share=Share(0, 1),
        device=torch.device("cuda" if config.compute.use_gpu else "cpu"),
        root=root,
    )
    train(job, RunLog(folder).append, at_checkpoint=Samples(folder, photos, config))
