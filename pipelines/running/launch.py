"""Where a run is computed: on Ray Train's workers, in this process, or in torchrun's."""

from pipelines.running.worker import Assignment
from pipelines.training.config import ComputeConfig
from pipelines.training.loop import Hooks


def launch(assignment: Assignment, compute: ComputeConfig, hooks: Hooks) -> None:
    """Train to the last step, by the runner that the options name.

    Args:
        assignment: the run.
        compute: of the run.
        hooks: what else happens; on Ray ``stop`` is asked here, ``at_checkpoint``, which must be picklable,
            is called on worker 0, and the others are not called.

    Raises:
        ConfigError: the runner cannot begin, with the reason.
        Stopped: ``hooks.stop`` asked to.
        TrainingError: the run failed.
    """
    if compute.runner == "local":
        from pipelines.running.local import run_local

        run_local(assignment, compute, hooks)
    else:
        from pipelines.running.ray.driver import run_on_ray

        run_on_ray(assignment, compute, hooks)
