"""``tunable prune``: list what earlier runs left, and delete what nothing needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.common import print_json, print_table, require_extra
from pipelines.cli.stages import Root, find_layout
from pipelines.core.errors import ConfigError, suggest_name

if TYPE_CHECKING:
    from pipelines.prune.item import Item


def prune_work_tree(
    kinds: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KIND",
            help="runs, searches, store, downloads; or caches, which all work trees of this user share.",
            show_default="all but caches",
        ),
    ] = None,
    root: Root = None,
    older_than: Annotated[
        float, typer.Option(metavar="DAYS", min=0, help="Keep what was changed or used since.")
    ] = 7.0,
    yes: Annotated[bool, typer.Option("--yes", help="Delete; otherwise only list.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List old runs, entries and downloads of a work tree; delete them with --yes.

    What params.yaml, an artefact or an alias needs stays, and so do runs under way and runs of which the
    tracking server lacks something.
    """
    require_extra("pipelines")
    from pipelines.prune.prune import KINDS, OWN, delete_items, list_items

    for kind in kinds or ():
        if kind not in KINDS:
            raise ConfigError(f"unknown kind {kind!r}{suggest_name(kind, KINDS)}")
    layout = find_layout(root)
    items = (delete_items if yes else list_items)(layout, kinds or OWN, older_than)
    if json:
        print_json([_describe_item(item) for item in items])
        return
    gone = "deleted" if yes else "can go"
    rows = [_make_row(item, gone) for item in sorted(items, key=lambda item: bool(item.keep))]
    if rows:
        print_table(["KIND", "", "SIZE", "UNUSED", "WHAT", "WHY"], rows)
    free = [item for item in items if not item.keep]
    total = f"{len(free)} of {len(items)} {gone}, {_format_size(sum(item.nbytes for item in free))}"
    typer.echo(f"{total}; delete with --yes" if free and not yes else total, err=True)


def _make_row(item: Item, gone: str) -> list[str]:
    state, age = "stays" if item.keep else gone, f"{item.age_days:.0f} d"
    return [item.kind, state, _format_size(item.nbytes), age, str(item.path), item.keep or item.why]


def _describe_item(item: Item) -> dict[str, object]:
    return {
        "kind": item.kind,
        "path": str(item.path),
        "bytes": item.nbytes,
        "unused_days": round(item.age_days, 2),
        "can_go": not item.keep,
        "why": item.keep or item.why,
    }


def _format_size(nbytes: int) -> str:
    return f"{nbytes / 1e9:.1f} GB" if nbytes >= 1e9 else f"{nbytes / 1e6:.1f} MB"
