"""Every path of the pipeline.

*Artefacts* (``artifacts/<stage>``) are versioned by DVC; a stage writes only its own. *State* (``.state``) is
what a run needs to resume: checkpoints and logs, keyed by the fingerprint of the run. It is never a DVC out,
because DVC empties outs before a stage runs. State and store are those of the *main* work tree, also for
``dvc exp run``'s temporary copies and for git's other work trees, so that they outlive both.

With the root ``/home/me/tunable-zoo``::

    .params      /home/me/tunable-zoo/params.yaml
    .train       /home/me/tunable-zoo/artifacts/train
    .metrics     /home/me/tunable-zoo/metrics/metrics.json
    .summary     /home/me/tunable-zoo/artifacts/evaluate/summary.json
    .store       /home/me/tunable-zoo/zoo-store
    .state       /home/me/tunable-zoo/.state
"""

import subprocess
from dataclasses import dataclass
from functools import cache
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
        """What publishing leaves: the receipt."""
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
    def receipt(self) -> Path:
        """Which entry this work tree published last."""
        return self.publish / "receipt.json"

    @property
    def main(self) -> Path:
        """The same folder of the main work tree."""
        return _find_in_main(self.root)

    @property
    def store(self) -> Path:
        """The local zoo: immutable entries published from all copies of the main work tree."""
        return self.main / "zoo-store"

    @property
    def state(self) -> Path:
        """Checkpoints and logs of runs, by fingerprint."""
        return self.main / ".state"

    def lock(self, stage: str) -> Path:
        """The file that is locked while a stage runs in this work tree; copies of it run side by side."""
        return self.root / ".state" / f"{stage}.lock"


def find_main_work_tree(root: Path) -> Path:
    """The user's own work tree, where ``root`` may lie in a temporary copy of it."""
    for folder in (root, *root.parents):  # dvc exp run --temp and --queue
        if folder.name == "exps" and folder.parent.name == "tmp" and folder.parents[1].name == ".dvc":
            return folder.parents[2]
    common = _ask_git(root, "--git-common-dir")
    return common.parent if common is not None and common.name == ".git" else root


@cache
def _find_in_main(root: Path) -> Path:
    top = _ask_git(root, "--show-toplevel")
    if top is None or not root.resolve().is_relative_to(top):
        return root
    place = find_main_work_tree(root) / root.resolve().relative_to(top)
    return place if place.is_dir() else root


def _ask_git(folder: Path, what: str) -> Path | None:
    command = ["git", "-C", str(folder), "rev-parse", "--path-format=absolute", what]
    try:
        return Path(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
    except (OSError, subprocess.CalledProcessError):
        return None


def _is_ours(folder: Path) -> bool:
    # Every DVC project has files of these names; only ours call this package.
    stages = folder / "dvc.yaml"
    text = stages.read_text(encoding="utf-8", errors="replace") if stages.is_file() else ""
    calls = any(command in text for command in ("tunable run", "python -m pipelines"))
    return calls and (folder / "params.yaml").is_file()
