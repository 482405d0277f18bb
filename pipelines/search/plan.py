"""What a search would do, said without doing it."""

import os
from collections.abc import Iterator

import torch

from pipelines.data.photos import PhotoSet
from pipelines.search.identity import check, identity
from pipelines.search.order import NOTE
from pipelines.search.room import trials_at_a_time
from pipelines.search.search import Search


def plan(search: Search) -> Iterator[str]:
    """Lines about a search: its points, what they are judged by, how many run at a time, where it stands.

    Nothing is written or trained.

    Args:
        search: of a work tree.

    Raises:
        ConfigError: the space, the objectives or this machine do not fit.
        DataError: there are no photographs to score on.
    """
    config, compute = search.config, search.compute
    objectives = search.objectives()
    search.points()  # all of them can be trained, or a sentence says which not
    photos, held_out = (PhotoSet.open(search.layout.prepare / name) for name in ("train", "validation"))
    search.scorer.prepare()
    count = search.count
    limit = f", {config.minutes:g} minutes at most" if config.minutes else ""
    yield f"search      {config.name}, by {config.algorithm}"
    yield f"axes        {', '.join(axis.name for axis in config.space.axes())}"
    yield f"trials      {count or 'no end'} of {config.steps} steps, with seeds {list(config.seeds)}{limit}"
    judged = ", ".join(f"{objective.name} ({objective.mode})" for objective in objectives)
    yield f"objectives  {judged}, on {len(held_out)} photographs"
    if compute.address is None:
        nodes = [{"CPU": float(len(os.sched_getaffinity(0))), "GPU": float(torch.cuda.device_count())}]
        each = f"{config.workers} x {compute.threads} threads"
        yield f"at a time   {trials_at_a_time(nodes, compute, config.concurrent)} trials of {each}"
    check(search.folder, identity(search, photos, held_out))
    known = len(list(search.folder.glob(f"trial-*/{NOTE}")))
    yield f"state       {search.folder}, {f'goes on with {known} trials' if known else 'new'}"
    yield f"artefacts   {search.layout.search}"
