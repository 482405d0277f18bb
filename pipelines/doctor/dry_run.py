"""``--dry-run``: what a stage would do, and what would keep it from doing so."""

from pipelines.doctor.examine import findings
from pipelines.doctor.finding import About, Finding
from pipelines.doctor.options import read_options
from pipelines.doctor.plan import plan
from pipelines.doctor.report import report
from pipelines.errors import is_expected
from pipelines.paths import Layout
from pipelines.train.config import TrainConfig

ALL = "all"


def dry_run(stage: str, layout: Layout) -> bool:
    """Print the plan of a training, and the findings about any stage; nothing is trained or written.

    Where a cluster is named, its nodes answer through a file in the work tree, which is gone afterwards.

    Args:
        stage: of the pipeline, or ``all``.
        layout: of the work tree.

    Returns:
        Whether there is no fault.

    Raises:
        ConfigError: an unknown stage.
    """
    found: list[Finding] = []
    train = read_options(layout)[0].train
    if train is not None and stage in ("train", ALL):
        found += _planned(train, layout)
    return report([*found, *findings(layout, None if stage == ALL else stage)])


def _planned(config: TrainConfig, layout: Layout) -> list[Finding]:
    """Print the plan, or find why there is none."""
    try:
        print(*plan(config, layout), sep="\n", end="\n\n", flush=True)
    except Exception as error:
        if not is_expected(error):
            raise
        return [About("plan").fault(str(error), "")]
    return []
