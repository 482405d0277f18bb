"""Load of this machine during a run, ``system.jsonl``: what MLflow's own clients log under ``system/``.

Measured by MLflow's monitor where ``MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING`` is true, and written to disk like
the run's log, so that a server that is down misses nothing. MLflow's variables set the interval, the samples
a point and the name of the node. Only the machine that follows the run is measured.
"""

import logging
import time
from pathlib import Path
from threading import Event, Thread
from typing import Any

from pipelines.core.errors import PipelineError
from pipelines.training.log import append_line, read_lines

logger = logging.getLogger(__name__)


class SystemMetrics:
    """Measures in a thread, if the environment asks for it, until it is stopped.

    Args:
        log: to append to; steps continue with those that are there.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._step = len(read_lines(log)[0])
        self._ended = Event()
        self._thread = Thread(target=self._measure, name="system-metrics", daemon=True)

    def start(self) -> None:
        """Begin, if the environment asks for it."""
        from mlflow.environment_variables import MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING

        is_wanted: Any = MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING
        if is_wanted.get():
            self._thread.start()

    def stop(self) -> None:
        """End, within a sample."""
        self._ended.set()
        if self._thread.ident:
            self._thread.join()

    def _measure(self) -> None:
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        # Its own loop would ask the server for the run before every point, and end when there is no answer.
        make_monitor: Any = SystemMetricsMonitor
        monitor = make_monitor(run_id="")
        place = f"system/{monitor.node_id}/" if monitor.node_id else "system/"
        try:
            while not self._ended.is_set():
                for _ in range(monitor.samples_before_logging):
                    monitor.collect_metrics()
                    self._ended.wait(monitor.sampling_interval)
                values = {f"{place}{name}": value for name, value in monitor.aggregate_metrics().items()}
                for part in monitor.monitors:
                    part.clear_metrics()
                append_line(self._log, {"step": self._step, "time_s": time.time(), **values})
                self._step += 1
        except (OSError, PipelineError) as error:
            logger.warning("tracking: no more system metrics: %s", error)
