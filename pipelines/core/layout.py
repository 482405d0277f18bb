"""Every path of the pipeline, in one place.

Two kinds of place. *Artefacts* (``artifacts/<stage>``) are what DVC versions: a stage writes only its
own. *State* (``.state``) is what a run needs to go on after a fault: checkpoints and logs, keyed by the
run's fingerprint, never a DVC out, because DVC empties outs before a stage runs.

With the root ``/home/me/tunable-zoo``::

    .params      /home/me/tunable-zoo/params.yaml
    .train       /home/me/tunable-zoo/artifacts/train
    .metrics     /home/me/tunable-zoo/metrics/metrics.json
    .store       /home/me/tunable-zoo/zoo-store
    .state       /home/me/tunable-zoo/.state
"""

from dataclasses import dataclass
from pathlib import Path

from pipelines.core.errors import ConfigError


@dataclass(frozen=True)
class Layout:
    """The paths below one work tree; nothing is created by asking for a path."""

    root: Path

    @classmethod
    def find(cls, start: Path | None = None) -> "Layout":
        """The layout of the work tree that holds ``start`` (default: the current folder).

        A folder that holds a ``params.yaml`` and no ``dvc.yaml`` is a work tree of its own, when it is
        ``start`` itself: several tasks can be trained side by side, each in a folder.

        Raises:
            ConfigError: no folder upwards holds ``params.yaml`` and a ``dvc.yaml`` with our stages.
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
            ConfigError: it holds no ``params.yaml``.
        """
        if not (folder / "params.yaml").is_file():
            raise ConfigError(
                f"expected params.yaml in {folder}, found none; write one: tunable recipe TASK "
                f"--out {folder / 'params.yaml'}"
            )
        return cls(folder.resolve())

    @property
    def again(self) -> str:
        """The command that goes on with a run that was interrupted."""
        return "dvc repro" if (self.root / "dvc.yaml").exists() else "tunable run all"

    @property
    def params(self) -> Path:
        """What the user edits."""
        return self.root / "params.yaml"

    @property
    def sets(self) -> Path:
        """Digests of the public photographs used so far; small, in git."""
        return self.root / "data" / "sets.json"

    @property
    def downloads(self) -> Path:
        """Public photographs as they were downloaded, and unpacked."""
        return self.state / "downloads"

    @property
    def prepare(self) -> Path:
        """Decoded photographs, split."""
        return self.root / "artifacts" / "prepare"

    @property
    def train(self) -> Path:
        """The trained network, its record and its loss curve."""
        return self.root / "artifacts" / "train"

    @property
    def search(self) -> Path:
        """What a search found: tables, figures, the best parameters."""
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
    def metrics(self) -> Path:
        """The numbers of the last run; small, in git."""
        return self.root / "metrics" / "metrics.json"

    @property
    def store(self) -> Path:
        """The local zoo: immutable entries published by this work tree."""
        return self.root / "zoo-store"

    @property
    def state(self) -> Path:
        """Checkpoints and logs of runs, by fingerprint."""
        return self.root / ".state"


def _is_ours(folder: Path) -> bool:
    # Every DVC project has files of these names; ours call this package.
    stages = folder / "dvc.yaml"
    text = stages.read_text(encoding="utf-8", errors="replace") if stages.is_file() else ""
    calls = any(command in text for command in ("tunable run", "python -m pipelines"))
    return calls and (folder / "params.yaml").is_file()
