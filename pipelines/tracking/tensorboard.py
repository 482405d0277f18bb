"""TensorBoard event files of a run: the numbers and pictures that MLflow gets, in ``tensorboard/``.

They are made from the run's log, which is the record: every start of the run writes them anew from its first
point, so that steps which were repeated after an interruption are there once.
"""

import logging
import shutil
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
from PIL import Image

from pipelines.tracking.metric_names import name_metrics
from pipelines.tracking.uploader import PICTURE, STEP
from pipelines.training.log import LOG, read_lines

logger = logging.getLogger(__name__)

FOLDER = "tensorboard"


class EventFiles:
    """Writes event files in a thread while a run writes its log.

    A fault is reported and never fails the run.

    Args:
        folder: of the run.
        every_s: seconds between two looks at it.
    """

    def __init__(self, folder: Path, every_s: float = 2.0) -> None:
        self._folder, self._every_s = folder, every_s
        self._position, self._shown = 0, set[str]()
        self._ended = Event()
        self._thread = Thread(target=self._follow, name="tensorboard", daemon=True)

    def __enter__(self) -> "EventFiles":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _follow(self) -> None:
        from tensorboardX import SummaryWriter

        target = self._folder / FOLDER
        try:
            shutil.rmtree(target, ignore_errors=True)
            with SummaryWriter(str(target)) as writer:
                is_ended = False
                while not is_ended:
                    is_ended = self._ended.wait(
                        self._every_s
                    )  # checked before reading, so that all is written
                    self._write_points(writer)
                    self._write_pictures(writer)
                    writer.flush()
        except Exception as error:  # a full disk, or a fault of the library
            logger.warning("tensorboard: %s: %s; event files end here", type(error).__name__, error)

    def _write_points(self, writer: Any) -> None:
        lines, self._position = read_lines(self._folder / LOG, self._position)
        # A resumed run logs some steps again, and TensorBoard would show both; the last one counts.
        newest: dict[tuple[int, str], tuple[float, float | None]] = {}
        for line in lines:
            step, time_s = line.pop("step"), line.pop("time_s", None)
            for name, value in name_metrics(line, "train").items():
                newest[step, name] = value, time_s
        for (step, name), (value, time_s) in newest.items():
            writer.add_scalar(name, value, step, walltime=time_s)

    def _write_pictures(self, writer: Any) -> None:
        for path in sorted((self._folder / "samples").glob("*.png")):
            step = STEP.fullmatch(path.stem)
            if step is None or path.name in self._shown:
                continue
            with Image.open(path, formats=["PNG"]) as picture:
                pixels = np.asarray(picture.convert("RGB"))
            writer.add_image(PICTURE, pixels, int(step[1]), walltime=path.stat().st_mtime, dataformats="HWC")
            self._shown.add(path.name)
