"""Tasks: a degradation, its targets, its controls and its loss, one file each.

The closed list of what ``train.task.name`` may say.
"""

from pipelines.tasks.denoise_deblur import DenoiseDeblur, DenoiseDeblurConfig

Task = DenoiseDeblur
"""The tasks a run can train; a union once there is a second."""

__all__ = ["DenoiseDeblur", "DenoiseDeblurConfig", "Task", "make_task"]


def make_task(config: DenoiseDeblurConfig) -> Task:
    """The task of that configuration."""
    return DenoiseDeblur(config)
