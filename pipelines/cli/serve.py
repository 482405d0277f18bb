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

ACCESS = "Address and access"
RESOURCES = "Resources"
LIMITS = "Limits"
CLUSTER = "On a Ray cluster"


def serve_models(
    refs: Annotated[list[str], typer.Argument(metavar="REF...", help="Name, name@version, or folder.")],
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="YAML with options of section serve; they come before those of params.yaml.",
        ),
    ] = None,
    local: Annotated[
        bool, typer.Option("--local", help="In this process, without Ray: quick to start, one replica.")
    ] = False,
    host: Annotated[
        str | None,
        typer.Option(help="Interface to listen on.", show_default="127.0.0.1", rich_help_panel=ACCESS),
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="0 takes a free one.", show_default="8000", rich_help_panel=ACCESS)
    ] = None,
    token_file: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="A file with the token that requests must carry.", rich_help_panel=ACCESS
        ),
    ] = None,
    no_auth: Annotated[
        bool,
        typer.Option("--no-auth", help="Let other machines in without a token.", rich_help_panel=ACCESS),
    ] = False,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="Another name to answer to; may be given again.", rich_help_panel=ACCESS
        ),
    ] = None,
    allowed_origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL", help="A site whose pages may send; may be given again.", rich_help_panel=ACCESS
        ),
    ] = None,
    replicas: Annotated[
        int | None, typer.Option(help="Processes.", show_default="1", rich_help_panel=RESOURCES)
    ] = None,
    max_replicas: Annotated[
        int | None,
        typer.Option(help="Processes under load.", show_default="as replicas", rich_help_panel=RESOURCES),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="CPUs per replica.", show_default="2", rich_help_panel=RESOURCES)
    ] = None,
    num_gpus: Annotated[
        float | None,
        typer.Option(
            help="GPUs per replica, such as 0.5; 0 computes on CPUs.",
            show_default="0",
            rich_help_panel=RESOURCES,
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(metavar="auto|onnx|torch", help="What runs the networks.", rich_help_panel=RESOURCES),
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(help="Pictures at once per replica.", show_default="2", rich_help_panel=RESOURCES),
    ] = None,
    max_queued_requests: Annotated[
        int | None,
        typer.Option(help="Pictures that wait per replica.", show_default="16", rich_help_panel=LIMITS),
    ] = None,
    request_timeout_s: Annotated[
        float | None, typer.Option(help="Time for a picture.", show_default="120", rich_help_panel=LIMITS)
    ] = None,
    timeout_per_megapixel_s: Annotated[
        float | None,
        typer.Option(help="What that grows by.", show_default="10", rich_help_panel=LIMITS),
    ] = None,
    max_body_bytes: Annotated[
        int | None,
        typer.Option(help="Largest request.", show_default="128 MiB", rich_help_panel=LIMITS),
    ] = None,
    max_pixels: Annotated[
        int | None,
        typer.Option(help="Largest picture.", show_default="64 million", rich_help_panel=LIMITS),
    ] = None,
    max_uploads: Annotated[
        int | None,
        typer.Option(help="Bodies that arrive at once.", show_default="32", rich_help_panel=LIMITS),
    ] = None,
    max_kept_bytes: Annotated[
        int | None,
        typer.Option(help="Memory for pictures sent once.", show_default="512 MiB", rich_help_panel=LIMITS),
    ] = None,
    access_log: Annotated[
        str | None,
        typer.Option(metavar="text|json|none", help="The line of each request.", show_default="text"),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="A running cluster, as RAY_ADDRESS; without one a private cluster starts.",
            rich_help_panel=CLUSTER,
        ),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Replace models that the cluster serves already.", rich_help_panel=CLUSTER
        ),
    ] = False,
    write_config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a file for serve deploy, and end.", rich_help_panel=CLUSTER),
    ] = None,
) -> None:
    """Serve models over HTTP until Ctrl-C, with a page to try them.

    Options that are not given are read from section ``serve`` of params.yaml.
    """
    require_extra("serve")
    entries = _resolve_entries(refs)
    options = _load_config(
        config,
        host=host,
        port=port,
        token_file=token_file,
        no_auth=no_auth or None,
        allowed_hosts=allowed_host or None,
        allowed_origins=allowed_origin or None,
        replicas=replicas,
        max_replicas=max_replicas,
        threads=threads,
        num_gpus=num_gpus,
        engine=engine,
        concurrency=concurrency,
        max_queued_requests=max_queued_requests,
        request_timeout_s=request_timeout_s,
        timeout_per_megapixel_s=timeout_per_megapixel_s,
        max_body_bytes=max_body_bytes,
        max_pixels=max_pixels,
        max_uploads=max_uploads,
        max_kept_bytes=max_kept_bytes,
        access_log=access_log,
        address=address,
    )
    if write_config is not None:
        from pipelines.serve.applications import write_deploy_file

        write_deploy_file(write_config, entries, options)
        typer.echo(f"Wrote {write_config}; deploy it by: serve deploy {write_config}")
    elif local:
        _serve_locally(entries, options)
    else:
        _serve_on_ray(entries, options, replace)


def _serve_locally(entries: dict[str, Path], config: ServeConfig) -> None:
    from pipelines.serve.local import serve_locally

    typer.echo(f"Starting {', '.join(entries)} ...")
    with serve_locally(entries, config) as url:
        typer.echo(f"Serving at {url}  (page: {url}/docs/, stop: Ctrl-C)")
        _wait_to_stop(config)


def _serve_on_ray(entries: dict[str, Path], config: ServeConfig, replace: bool) -> None:
    from pipelines.core.ray_cluster import find_address
    from pipelines.serve.applications import find_prefix
    from pipelines.serve.server import log_folder, serve_on_ray

    typer.echo(f"Starting {', '.join(entries)} ...")
    with serve_on_ray(entries, config, replace=replace) as url:
        if find_address(config.address) is None:
            typer.echo(f"Serving at {url}  (page: {url}/docs/, stop: Ctrl-C)")
        else:
            typer.echo(f"Serving at {url}  (stop: Ctrl-C)")
            for name in entries:
                typer.echo(f"{name}: {url}{find_prefix(name)}  (page: {url}{find_prefix(name)}/docs/)")
        typer.echo(f"The log is in {log_folder()}")
        _wait_to_stop(config)


def _wait_to_stop(config: ServeConfig) -> None:
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


def _load_config(file: Path | None = None, **given: Any) -> ServeConfig:
    """What was given on the command line, before ``file``, before section ``serve`` of params.yaml."""
    from pipelines.core.config import load_section, parse_section, read_yaml
    from pipelines.serve.config import ServeConfig

    layout = find_work_tree()
    config = load_section(layout.params, "serve", ServeConfig) if layout else ServeConfig()
    values = config.model_dump()
    if file is not None:
        values |= read_yaml(file)
        parse_section(values, "serve", ServeConfig, source=file.name)  # a mistake is told of the right place
    values |= {key: value for key, value in given.items() if value is not None}
    return parse_section(values, "serve", ServeConfig, source="command line")


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
