"""Every path of the pipeline.

*Artefacts* (``artifacts/<stage>``) are versioned by DVC; a stage writes only its own. *State* (``.state``) is
what a run needs to resume: checkpoints and logs, keyed by the fingerprint of the run. It is never a DVC out,
because DVC empties outs before a stage runs.

With the root ``/home/me/tunable-zoo``::

    .params      /home/me/tunable-zoo/params.yaml
    .train       /home/me/tunable-zoo/artifacts/train
    .metrics     /home/me/tunable-zoo/metrics/metrics.json
    .summary     /home/me/tunable-zoo/artifacts/evaluate/summary.json
    .store       /home/me/tunable-zoo/zoo-store
    .state       /home/me/tunable-zoo/.state
"""

from dataclasses import dataclass
from pathlib import Path

from pipelines.core.errors import ConfigError


@dataclass(frozen=True)
class Layout:
    """The paths below one work tree; no property creates anything."""

    root: Path

    @classmethod
    def find(cls, start: Path | None = None) -> "Layout":
        """Find the work tree that contains ``start`` (default: the current folder).

        If ``start`` itself contains ``params.yaml`` and no ``dvc.yaml``, it is a work tree of its own, so
        that several tasks can be trained side by side, each in a folder.

        Raises:
            ConfigError: no parent folder contains ``params.yaml`` and a ``dvc.yaml`` with our stages.
        """
        start = (start or Path.cwd()).resolve()
        if (start / "params.yaml").is_file() and not (start / "dvc.yaml").exists():
            return cls(start)
        for folder in (start, *start.parents):
            if _is_ours(folder):
                return cls(folder)
        raise ConfigError(
            f"expected this project's dvc.yaml and params.yaml in {start} or above, or params.yaml alone in "
            f"{start}; run in the work tree, or write one: tunable recipe denoise-deblur "
            "--out params.yaml"
        )

    @classmethod
    def at(cls, folder: Path) -> "Layout":
        """The layout of exactly that folder.

        Raises:
            ConfigError: it contains no ``params.yaml``.
        """
        if not (folder / "params.yaml").is_file():
            raise ConfigError(
                f"expected params.yaml in {folder}, found none; write one: tunable recipe TASK "
                f"--out {folder / 'params.yaml'}"
            )
        return cls(folder.resolve())

    @property
    def resume_command(self) -> str:
        """The command that resumes an interrupted run."""
        return "dvc repro" if (self.root / "dvc.yaml").exists() else "tunable run all"

    @property
    def params(self) -> Path:
        """The parameters, which the user edits."""
        return self.root / "params.yaml"

    @property
    def sets(self) -> Path:
        """Digests of the public photographs used so far, in git."""
        return self.root / "data" / "sets.json"

    @property
    def downloads(self) -> Path:
        """Public photographs, as downloaded and unpacked."""
        return self.state / "downloads"

    @property
    def prepare(self) -> Path:
        """Decoded photographs, split into training, validation and test."""
        return self.root / "artifacts" / "prepare"

    @property
    def train(self) -> Path:
        """The trained network, its record and its loss curve."""
        return self.root / "artifacts" / "train"

    @property
    def search(self) -> Path:
        """Results of a search: tables, figures, the best parameters."""
        return self.root / "artifacts" / "search"

    @property
    def evaluate(self) -> Path:
        """Plots and the picture of the sliders."""
        return self.root / "artifacts" / "evaluate"

    @property
    def publish(self) -> Path:
        """The receipt of a published entry."""
        return self.root / "artifacts" / "publish"

    @property
    def summary(self) -> Path:
        """Every number of the evaluation."""
        return self.evaluate / "summary.json"

    @property
    def metrics(self) -> Path:
        """The few numbers of the evaluation by which experiments are compared, in git."""
        return self.root / "metrics" / "metrics.json"

    @property
    def train_metrics(self) -> Path:
        """The same of training and of its last validation, in git."""
        return self.root / "metrics" / "train.json"

    @property
    def store(self) -> Path:
        """The local zoo: immutable entries published by this work tree."""
        return self.root / "zoo-store"

    @property
    def state(self) -> Path:
        """Checkpoints and logs of runs, by fingerprint."""
        return self.root / ".state"


def _is_ours(folder: Path) -> bool:
    # Every DVC project has files of these names; only ours call this package.
    stages = folder / "dvc.yaml"
    text = stages.read_text(encoding="utf-8", errors="replace") if stages.is_file() else ""
    calls = any(command in text for command in ("tunable run", "python -m pipelines"))
    return calls and (folder / "params.yaml").is_file()
