"""Experiment tracking: a copy of run folders on an MLflow server, made whenever it answers.

The record of a run is its folder. ``server`` is the only module that imports MLflow; ``uploader`` brings a
folder to it, as often as needed; ``sync`` does so during a run, once, or for all runs of a work tree. A fault
of tracking never fails a stage.
"""

from pipelines.tracking.server import EXPERIMENT, shown_uri, tracking_uri

__all__ = ["EXPERIMENT", "shown_uri", "tracking_uri"]
