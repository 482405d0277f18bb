"""Table of the commands of ``tunable``."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pipelines.cli.apply import apply_model
from pipelines.cli.common import AssignmentCommand, report_known_errors
from pipelines.cli.export import export_model, serve_models
from pipelines.cli.prune import prune_work_tree
from pipelines.cli.stages import check_work_tree, run_search, run_stages, send_runs, write_recipe
from pipelines.cli.zoo import zoo


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


@app.callback()
def _take_options(
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
app.command("apply", cls=AssignmentCommand)(apply_model)
app.command("export", cls=AssignmentCommand)(export_model)
app.command("serve")(serve_models)
app.command("doctor")(check_work_tree)
