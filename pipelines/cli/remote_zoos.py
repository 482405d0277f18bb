"""``tunable zoo pull``, ``push``, ``deprecate``, ``sources`` and ``cache``: entries of zoos elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.cli.common import list_stores, print_json, print_table
from pipelines.core.errors import ConfigError, PipelineError

cache = typer.Typer(help="Look at what was pulled, check it, delete it.", no_args_is_help=True)

Ref = Annotated[str, typer.Argument(metavar="REF", help="Name, name@version, name@alias, or URL/name.")]
SignKey = Annotated[
    Path | None, typer.Option(help="An Ed25519 private key, such as ssh-keygen makes, to sign the index by.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def pull_entry(ref: Ref) -> None:
    """Fetch the newest of an entry from the sources, or from the zoo at a URL, into the cache."""
    from zoo import pull

    entry = pull(ref)
    typer.echo(f"{entry.name}@{entry.version}: {entry.folder}")


def push_entry(
    ref: Ref,
    url: Annotated[
        str, typer.Argument(metavar="URL", help="A folder, a .tar file, or s3://bucket/zoo and the like.")
    ],
    alias: Annotated[list[str] | None, typer.Option(help="To point at it; by default latest.")] = None,
    sign_key: SignKey = None,
) -> None:
    """Write an entry to a zoo elsewhere, from which others pull it."""
    from zoo import resolve
    from zoo.remote.sources import find_zoo

    entry = resolve(ref, stores=list_stores())
    find_zoo(url).push(entry, alias or ["latest"], sign_key)
    typer.echo(f"{entry.name}@{entry.version}: {url}")


def deprecate_entry(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name, name@version or name@alias, of there.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="Of the zoo.")],
    reason: Annotated[str, typer.Option(help="Why, in a sentence.")] = "",
    replacement: Annotated[str, typer.Option(help="What to use instead, such as denoise@1.1.0.")] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Take the reason back.")] = False,
    sign_key: SignKey = None,
) -> None:
    """Say in a zoo elsewhere why a version should not be used: pulls warn, searches skip it."""
    from zoo.remote.sources import find_zoo

    if undo == bool(reason):
        raise ConfigError("expected a reason by --reason, or --undo to take it back")
    model, _, selector = name.partition("@")
    there = find_zoo(url)
    version = there.deprecate(
        model, selector or "latest", reason, replacement=replacement, private_key=sign_key
    )
    typer.echo(f"{model}@{version}: {'not ' if undo else ''}deprecated at {url}")


def list_aliases(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of a model.")],
    url: Annotated[
        str | None, typer.Option(help="Of a zoo elsewhere; by default the models at hand.")
    ] = None,
    json: Json = False,
) -> None:
    """List the aliases of a model: what each points at, and what it pointed at before."""
    from zoo.errors import EntryNotFoundError
    from zoo.remote.sources import find_zoo

    if url is None:
        having = [store for store in list_stores() if store.versions(name)]
        pointers = [store.aliases(name) for store in having]
        moves = [move for store in having for move in store.alias_history(name)]
    else:
        models = find_zoo(url).read_index().models
        pointers = [dict(models[name].aliases)] if name in models else []
        moves = list(models[name].history) if name in models else []
    if not pointers:
        raise EntryNotFoundError(f"no model {name!r} in {url or 'any store'}; tunable zoo list shows them")
    now = {alias: version for known in reversed(pointers) for alias, version in known.items()}
    moves.sort(key=lambda move: move.time)
    if json:
        print_json({"aliases": now, "history": [move.model_dump(mode="json") for move in moves]})
        return
    print_table(["ALIAS", "VERSION"], [[alias, version] for alias, version in sorted(now.items())])
    if moves:
        typer.echo("")
        print_table(["SINCE", "ALIAS", "VERSION"], [[m.time, m.alias, m.version] for m in reversed(moves)])


def add_zoo_source(
    name: Annotated[str, typer.Argument(metavar="NAME", help="To speak of it, such as team.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="Of the folder that holds index.json.")],
    key: Annotated[
        Path | None, typer.Option(help="The Ed25519 public key that signs its index, such as zoo-key.pub.")
    ] = None,
) -> None:
    """Look into a zoo elsewhere for models that are not at hand."""
    from zoo import RemoteZoo
    from zoo.remote.signatures import read_public_key
    from zoo.remote.sources import add_source

    public = "" if key is None else read_public_key(key)
    RemoteZoo(url, key=public).read_index()  # so that a mistyped address is told now
    add_source(name, url, public)


def remove_zoo_source(name: Annotated[str, typer.Argument(metavar="NAME", help="Of the source.")]) -> None:
    """Look into a zoo no more; what was pulled stays in the cache."""
    from zoo.remote.sources import remove_source

    remove_source(name)


def list_zoo_sources(json: Json = False) -> None:
    """List the zoos that are asked for models that are not at hand."""
    from zoo.remote.sources import list_sources

    sources = list_sources()
    if json:
        print_json({name: source._asdict() for name, source in sources.items()})
        return
    rows = [[name, source.url, source.key or "none"] for name, source in sources.items()]
    print_table(["NAME", "URL", "KEY"], rows)


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
