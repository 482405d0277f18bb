"""``tunable zoo pull``, ``push``, ``sources`` and ``cache``: entries of zoos elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.cli.common import list_stores, print_json, print_table
from pipelines.core.errors import PipelineError

cache = typer.Typer(help="Look at what was pulled, check it, delete it.", no_args_is_help=True)

Ref = Annotated[str, typer.Argument(metavar="REF", help="Name, name@version, name@alias, or URL/name.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def pull_entry(ref: Ref) -> None:
    """Fetch the newest of an entry from the sources, or from the zoo at a URL, into the cache."""
    from zoo import pull

    entry = pull(ref)
    typer.echo(f"{entry.name}@{entry.version}: {entry.folder}")


def push_entry(
    ref: Ref,
    url: Annotated[str, typer.Argument(metavar="URL", help="A folder, or s3://bucket/zoo and the like.")],
    alias: Annotated[list[str] | None, typer.Option(help="To point at it; by default latest.")] = None,
) -> None:
    """Write an entry to a zoo elsewhere, from which others pull it."""
    from zoo import RemoteZoo, resolve

    entry = resolve(ref, stores=list_stores())
    RemoteZoo(url).push(entry, alias or ["latest"])
    typer.echo(f"{entry.name}@{entry.version}: {url}")


def add_zoo_source(
    name: Annotated[str, typer.Argument(metavar="NAME", help="To speak of it, such as team.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="Of the folder that holds index.json.")],
) -> None:
    """Look into a zoo elsewhere for models that are not at hand."""
    from zoo import RemoteZoo
    from zoo.remote.sources import add_source

    RemoteZoo(url).read_index()  # so that a mistyped address is told now
    add_source(name, url)


def remove_zoo_source(name: Annotated[str, typer.Argument(metavar="NAME", help="Of the source.")]) -> None:
    """Look into a zoo no more; what was pulled stays in the cache."""
    from zoo.remote.sources import remove_source

    remove_source(name)


def list_zoo_sources(json: Json = False) -> None:
    """List the zoos that are asked for models that are not at hand."""
    from zoo.remote.sources import list_sources

    sources = list_sources()
    if json:
        print_json(sources)
        return
    print_table(["NAME", "URL"], [[name, url] for name, url in sources.items()])


@cache.command("ls")
def list_pulled(json: Json = False) -> None:
    """List the entries that were pulled, and from where."""
    from zoo.remote.cache import Cache

    found = [(store.url, entry) for store in Cache.of_user().stores() for entry in store.entries()]
    sizes = [sum(file.size for file in entry.manifest.files) for _, entry in found]
    if json:
        print_json(
            [
                {"name": entry.name, "version": entry.version, "bytes": nbytes, "url": url}
                | {"folder": str(entry.folder)}
                for (url, entry), nbytes in zip(found, sizes, strict=True)
            ]
        )
        return
    rows = [
        [f"{entry.name}@{entry.version}", f"{nbytes / 2**20:.3g} MiB", url]
        for (url, entry), nbytes in zip(found, sizes, strict=True)
    ]
    print_table(["MODEL", "SIZE", "FROM"], rows)


@cache.command("verify")
def verify_pulled() -> None:
    """Check every pulled entry, file by file."""
    from zoo import ZooError
    from zoo.remote.cache import Cache

    damaged = 0
    for store in Cache.of_user().stores():
        for name in store.names():
            for version in store.versions(name):
                try:
                    store.open(name, version).contents()
                    typer.echo(f"{name}@{version}: as it was published")
                except ZooError as error:
                    damaged += 1
                    typer.echo(f"{name}@{version}: {error}", err=True)
    if damaged:
        raise PipelineError(
            f"{damaged} damaged: delete them by tunable zoo cache prune --all, and pull again"
        )


@cache.command("prune")
def prune_pulled(
    everything: Annotated[bool, typer.Option("--all", help="All entries that were pulled, too.")] = False,
) -> None:
    """Delete files that no pulled entry uses, such as parts of downloads that were given up."""
    from zoo.remote.cache import Cache

    pulled = Cache.of_user()
    if everything:
        pulled.clear()
        return
    for name in pulled.prune():
        typer.echo(name)
