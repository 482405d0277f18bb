"""Experiment tracking: a copy of what lies on disk, made when a server answers.

The record of a run is its folder. ``server`` is the only module that imports MLflow; ``courier`` brings
a folder to it, as often as needed; ``tracker`` is for stages that are over in a moment. Nothing here
ever fails a stage.
"""

from pipelines.tracking.place import main_work_tree, shown_uri, tracking_uri
from pipelines.tracking.server import EXPERIMENT, PUBLISHED
from pipelines.tracking.tracker import Tracker

__all__ = ["EXPERIMENT", "PUBLISHED", "Tracker", "main_work_tree", "shown_uri", "tracking_uri"]
