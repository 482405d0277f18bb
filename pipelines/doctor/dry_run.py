"""``--dry-run``: what a stage would do, and what would keep it from doing so."""

from collections.abc import Iterator

from pipelines.core.errors import is_expected
from pipelines.core.layout import Layout
from pipelines.doctor.examine import findings
from pipelines.doctor.finding import About, Finding
from pipelines.doctor.options import read_options
from pipelines.doctor.plan import plan
from pipelines.doctor.ports import cluster_address
from pipelines.doctor.report import report
from pipelines.search.plan import plan as search_plan
from pipelines.search.search import Search

ALL = "all"


def dry_run(stage: str, layout: Layout) -> bool:
    """Print the plan of a training or a search, and the findings about any stage; nothing else happens.

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
    options = read_options(layout)[0]
    if options.train is not None and stage in ("train", ALL):
        found += _planned(plan(options.train, layout))
    if options.train is not None and options.search is not None and stage == "search":
        search = Search(config=options.search, base=options.train, layout=layout)
        found += _planned(search_plan(search, cluster_address(options.train.compute.address)))
    return report([*found, *findings(layout, None if stage == ALL else stage)])


def _planned(lines: Iterator[str]) -> list[Finding]:
    """Print the plan, or find why there is none."""
    try:
        print(*lines, sep="\n", end="\n\n", flush=True)
    except Exception as error:
        if not is_expected(error):
            raise
        return [About("plan").fault(str(error), "")]
    return []
