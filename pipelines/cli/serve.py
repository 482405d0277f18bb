"""``tunable serve``: entries as an HTTP endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.extras import require
from pipelines.cli.stores import stores, work_tree
from pipelines.core.errors import ConfigError

if TYPE_CHECKING:
    from pipelines.serve.config import ServeConfig


def serve(
    refs: Annotated[list[str], typer.Argument(metavar="REF...", help="Name, name@version, or folder.")],
    host: Annotated[
        str | None, typer.Option(help="Interface to listen on.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0 takes a free one.", show_default="8000")
    ] = None,
) -> None:
    """Serve models over HTTP until Ctrl-C, with a page to try them.

    Further options are read from section ``serve`` of params.yaml.
    """
    require("serve")
    entries = _entries(refs)
    config = _config(host, port)
    from pipelines.serve.server import log_folder, serve_entries, wait_for_signal

    typer.echo(f"Starting {', '.join(entries)} ...")
    with serve_entries(entries, config) as url:
        typer.echo(f"Serving at {url}  (page: {url}/docs/, stop: Ctrl-C)")
        typer.echo(f"The log is in {log_folder()}")
        if not _is_loopback(config.host):
            typer.echo("Anyone who can reach this machine can use it: there is no authentication.", err=True)
        wait_for_signal()
        typer.echo("Stopping ...")


def _entries(refs: list[str]) -> dict[str, Path]:
    from zoo import verify

    entries: dict[str, Path] = {}
    for ref in refs:
        # Here, once: an alias that moves between two replicas must not matter, and a fault is told at once.
        entry = verify(ref, stores=stores()).entry
        if entry.name in entries:
            raise ConfigError(f"{entry.name} is given twice; serve one version of a model at a time")
        entries[entry.name] = entry.folder.resolve()
    return entries


def _config(host: str | None, port: int | None) -> ServeConfig:
    from pipelines.core.config import load_section
    from pipelines.serve.config import ServeConfig

    layout = work_tree()
    config = load_section(layout.params, "serve", ServeConfig) if layout else ServeConfig()
    given = {"host": host, "port": port}
    return config.model_copy(update={key: value for key, value in given.items() if value is not None})


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")
