"""``tunable serve``: the endpoint, on Ray Serve or in this process."""

from __future__ import annotations

import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.common import find_work_tree, list_stores, require_extra
from pipelines.core.errors import ConfigError

if TYPE_CHECKING:
    from pipelines.serve.config import ServeConfig


def serve_models(
    refs: Annotated[list[str], typer.Argument(metavar="REF...", help="Name, name@version, or folder.")],
    host: Annotated[
        str | None, typer.Option(help="Interface to listen on.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="0 takes a free one.", show_default="8000")
    ] = None,
    token_file: Annotated[
        str | None, typer.Option(metavar="FILE", help="A file with the token that requests must carry.")
    ] = None,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Let other machines in without a token.")
    ] = False,
    allowed_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Another name to answer to; may be given again.")
    ] = None,
    allowed_origin: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="A site whose pages may send; may be given again.")
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="In this process, without Ray: quick to start, one replica.")
    ] = False,
) -> None:
    """Serve models over HTTP until Ctrl-C, with a page to try them.

    Further options are read from section ``serve`` of params.yaml.
    """
    require_extra("serve")
    entries = _resolve_entries(refs)
    config = _load_config(
        host=host,
        port=port,
        token_file=token_file,
        no_auth=no_auth or None,
        allowed_hosts=tuple(allowed_host) if allowed_host else None,
        allowed_origins=tuple(allowed_origin) if allowed_origin else None,
    )
    if local:
        from pipelines.serve.local import serve_locally as serve
    else:
        from pipelines.serve.server import serve_on_ray as serve

    typer.echo(f"Starting {', '.join(entries)} ...")
    with serve(entries, config) as url:
        typer.echo(f"Serving at {url}  (page: {url}/docs/, stop: Ctrl-C)")
        if not local:
            from pipelines.serve.server import log_folder

            typer.echo(f"The log is in {log_folder()}")
        if config.no_auth:
            typer.echo("Anyone who can reach this machine can use it: there is no authentication.", err=True)
        _wait_for_signal()
        typer.echo("Stopping ...")


def _resolve_entries(refs: list[str]) -> dict[str, Path]:
    from zoo import verify

    entries: dict[str, Path] = {}
    for ref in refs:
        # Here, once: an alias may move between the starts of two replicas, and a fault is reported at once.
        entry = verify(ref, stores=list_stores()).entry
        if entry.name in entries:
            raise ConfigError(f"{entry.name} is given twice; serve one version of a model at a time")
        entries[entry.name] = entry.folder.resolve()
    return entries


def _load_config(**given: Any) -> ServeConfig:
    """Section ``serve`` of params.yaml, with what was given on the command line."""
    from pipelines.core.config import load_section
    from pipelines.serve.config import ServeConfig

    layout = find_work_tree()
    config = load_section(layout.params, "serve", ServeConfig) if layout else ServeConfig()
    return config.model_copy(update={key: value for key, value in given.items() if value is not None})


def _wait_for_signal() -> None:
    """Return at the first SIGINT or SIGTERM; later ones are ignored, so as not to disturb the cleanup."""

    def stop(_: int, __: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    try:
        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)
        while True:
            signal.pause()
    except KeyboardInterrupt:
        return
