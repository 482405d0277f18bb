"""Table of the commands of ``tunable``."""

import os
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pipelines.cli.apply import apply_model
from pipelines.cli.common import AssignmentCommand, report_known_errors
from pipelines.cli.export import export_model
from pipelines.cli.prune import prune_work_tree
from pipelines.cli.remote_zoos import (
    add_zoo_source,
    cache,
    deprecate_entry,
    list_aliases,
    list_zoo_sources,
    pull_entry,
    push_entry,
    remove_zoo_source,
)
from pipelines.cli.serve import serve_models
from pipelines.cli.stages import check_work_tree, run_search, run_stages, send_runs, write_recipe
from pipelines.cli.zoo import zoo
from pipelines.cli.zoo_reports import compare_models, diff_models, reproduce_model, write_model_gallery


class _Group(TyperGroup):
    def invoke(self, ctx: Any) -> Any:
        with report_known_errors("tunable"):
            return super().invoke(ctx)


app = typer.Typer(
    name="tunable",
    cls=_Group,
    help="Train, search, publish, use and serve image-restoration networks with sliders.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"tunable {version('tunable-zoo')}")
        raise typer.Exit


def _forbid_network(asked: bool) -> None:
    if asked:
        os.environ["TUNABLE_OFFLINE"] = "1"


@app.callback()
def _take_options(
    offline: Annotated[
        bool,
        typer.Option(
            "--offline",
            callback=_forbid_network,
            help="Ask no other machine for models that are not at hand.",
        ),
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command("run")(run_stages)
app.command("search")(run_search)
app.command("prune")(prune_work_tree)
app.command("recipe")(write_recipe)
app.command("track")(send_runs)
app.add_typer(zoo, name="zoo")
zoo.command("diff")(diff_models)
zoo.command("compare", cls=AssignmentCommand)(compare_models)
zoo.command("reproduce")(reproduce_model)
zoo.command("gallery")(write_model_gallery)
zoo.command("pull")(pull_entry)
zoo.command("push")(push_entry)
zoo.command("deprecate")(deprecate_entry)
zoo.command("aliases")(list_aliases)
zoo.command("sources")(list_zoo_sources)
zoo.command("add-source")(add_zoo_source)
zoo.command("remove-source")(remove_zoo_source)
zoo.add_typer(cache, name="cache")
app.command("apply", cls=AssignmentCommand)(apply_model)
app.command("export", cls=AssignmentCommand)(export_model)
app.command("serve")(serve_models)
app.command("doctor")(check_work_tree)
