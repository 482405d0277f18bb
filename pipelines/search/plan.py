"""What a search would do, said without doing it."""

import os
from collections.abc import Iterator

import torch

from pipelines.data.photos import PhotoSet
from pipelines.search.identity import check, identity
from pipelines.search.order import NOTE
from pipelines.search.room import trials_at_a_time
from pipelines.search.search import Search


def plan(search: Search, address: str | None) -> Iterator[str]:
    """Lines about a search: its points, what they are judged by, how many run at a time, where it stands.

    Nothing is written or trained.

    Args:
        search: of a work tree.
        address: of the cluster that it would join; None for a private one on this machine.

    Raises:
        ConfigError: the space, the objectives or this machine do not fit.
        DataError: there are no photographs to score on.
    """
    config = search.config
    objectives = search.objectives()
    notes = _notes(search)
    photos, held_out = (PhotoSet.open(search.layout.prepare / name) for name in ("train", "validation"))
    search.scorer.prepare()
    count = search.count
    limit = f", {config.minutes:g} minutes at most" if config.minutes else ""
    yield f"search      {config.name}, by {config.algorithm}"
    yield f"axes        {', '.join(axis.name for axis in config.space.axes())}"
    yield f"trials      {count or 'no end'} of {config.steps} steps, with seeds {list(config.seeds)}{limit}"
    yield from (f"            {note}" for note in notes)
    judged = ", ".join(f"{objective.name} ({objective.mode})" for objective in objectives)
    yield f"objectives  {judged}, on {len(held_out)} photographs"
    yield f"at a time   {_at_a_time(search, address)}"
    check(search.folder, identity(search, photos, held_out))
    known = len(list(search.folder.glob(f"trial-*/{NOTE}")))
    yield f"state       {search.folder}, {f'goes on with {known} trials' if known else 'new'}"
    yield f"artefacts   {search.layout.search}"


def _notes(search: Search) -> list[str]:
    """What is said of points before any is trained."""
    notes: list[str] = []
    next(search.points(notes.append), None)
    return notes


def _at_a_time(search: Search, address: str | None) -> str:
    compute, asked = search.compute, search.config.concurrent
    each = f"{search.config.workers} x {compute.threads} threads"
    if address is not None:
        count = f"{asked} trials" if asked else "as many trials as there is room for,"
        return f"{count} of {each}, in {address}, whose room is checked when the search starts"
    nodes = [{"CPU": float(len(os.sched_getaffinity(0))), "GPU": float(torch.cuda.device_count())}]
    return f"{trials_at_a_time(nodes, compute, asked)} trials of {each}"
