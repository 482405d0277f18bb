"""``tunable doctor``: what would keep a run from ending well, before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.extras import require
from pipelines.core.layout import Layout


def doctor(
    root: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="A work tree.", show_default="the one around here")
    ] = None,
    stage: Annotated[
        str | None, typer.Option(help="Only what this stage needs: prepare, train, evaluate, publish, serve.")
    ] = None,
    processes: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="How many torchrun will start for a training, on all nodes."),
    ] = 1,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check options, data, disk, cluster, GPUs and tracking of a work tree, in seconds.

    Changes nothing. Exit code 1 if anything would keep a stage from running.
    """
    require("pipelines")
    from pipelines.doctor.report import print_findings, print_findings_json
    from pipelines.doctor.run import examine_work_tree

    layout = Layout.at(root) if root else Layout.find()
    show = print_findings_json if json else print_findings
    if not show(examine_work_tree(layout, stage, processes)):
        raise typer.Exit(1)
