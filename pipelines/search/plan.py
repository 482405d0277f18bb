"""Plan of a search for ``--dry-run``: what it would do, without doing it."""

import os
from collections.abc import Iterator

import torch

from pipelines.data.photos import PhotoSet
from pipelines.search.budget import count_concurrent_trials
from pipelines.search.identity import check_folder, identify_search
from pipelines.search.search import Search
from pipelines.search.trial import SPEC


def describe_search(search: Search, address: str | None) -> Iterator[str]:
    """Lines about a search: its points, objectives, concurrency and state. Nothing is written or trained.

    Args:
        search: of a work tree.
        address: of the cluster that it would join; None for a private one on this machine.

    Raises:
        ConfigError: the space, the objectives or this machine do not fit.
        DataError: there are no photographs to score on.
    """
    config = search.config
    objectives = search.objectives()
    next(search.points(), None)  # a space in which nothing can be trained is refused here
    photos, held_out = (PhotoSet.open(search.layout.prepare / name) for name in ("train", "validation"))
    search.scorer.prepare()
    count = search.count
    limit = f", at most {config.minutes:g} minutes" if config.minutes else ""
    yield f"search      {config.name}, by {config.algorithm}"
    yield f"axes        {', '.join(axis.name for axis in config.space.axes())}"
    seeds = f"with seeds {list(config.seeds)}"
    yield f"trials      {count or 'unlimited'} of {config.steps} steps, {seeds}{limit}"
    judged = ", ".join(f"{objective.name} ({objective.mode})" for objective in objectives)
    yield f"objectives  {judged}, on {len(held_out)} photographs"
    yield f"concurrent  {_describe_concurrency(search, address)}"
    check_folder(search.folder, identify_search(search, photos, held_out))
    known = len(list(search.folder.glob(f"trial-*/{SPEC}")))
    yield f"state       {search.folder}, {f'resumes with {known} trials' if known else 'new'}"
    yield f"artefacts   {search.layout.search}"


def _describe_concurrency(search: Search, address: str | None) -> str:
    compute, requested = search.compute, search.config.concurrent
    each = f"{search.config.workers} x {compute.threads} threads"
    if address is not None:
        count = f"{requested} trials" if requested else "as many trials as fit,"
        return f"{count} of {each}, in {address}, whose capacity is checked when the search starts"
    nodes = [{"CPU": float(len(os.sched_getaffinity(0))), "GPU": float(torch.cuda.device_count())}]
    return f"{count_concurrent_trials(nodes, compute, requested)} trials of {each}"
