"""The ``search`` stage: trains many small runs, scores their sliders, and says which options were best.

Its state lies in ``.state/search-<name>``: a folder a trial (see :mod:`pipelines.search.order`), what the
search is (``search.json``) and the time it has had. So it goes on after any interruption. Its artefacts
(``artifacts/search``) are written at the end, and when somebody asks to stop; see
:mod:`pipelines.search.results.writing`.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.tune.search import Searcher

from pipelines.core.config import load_section
from pipelines.core.errors import ConfigError, DataError, TrainingError
from pipelines.core.layout import Layout
from pipelines.core.progress import Display, tell
from pipelines.core.ray_cluster import ray_cluster
from pipelines.core.records import write_atomic
from pipelines.core.signals import Interrupted, stop_politely
from pipelines.core.torchrun import world_size
from pipelines.data.photos import PhotoSet
from pipelines.search.book import Book
from pipelines.search.clock import Clock
from pipelines.search.config import SearchConfig
from pipelines.search.drive import drive
from pipelines.search.identity import claim, identity
from pipelines.search.optuna_points import optuna_searcher
from pipelines.search.proposals import Listed, Orders
from pipelines.search.results.configurations import Configuration
from pipelines.search.results.writing import write_results
from pipelines.search.room import trials_at_a_time
from pipelines.search.search import Search
from pipelines.search.trial_record import Objective, Point
from pipelines.tracking.mirror import Mirror
from pipelines.training.config import TrainConfig


def run(config: SearchConfig, layout: Layout, *, adopt: bool = False) -> None:
    """Search, or go on searching, and write the results.

    Args:
        config: of the search.
        layout: of the work tree; section ``train`` of its parameters is what every trial starts from.
        adopt: put the best configuration into the work tree's ``params.yaml``.

    Raises:
        ConfigError: the space, the objectives or the cluster do not fit; or a search of this name had others.
        DataError: no photographs, or none to score on.
        TrainingError: no configuration was trained with every seed.
        Interrupted: somebody asked to stop; the trials go on from their last checkpoints, and the results of
            those that have finished are written.
    """
    if world_size() > 1:
        raise ConfigError(f"torchrun started {world_size()} processes; a search starts its own, run it alone")
    base = load_section(layout.params, "train", TrainConfig)
    search = Search(config=config, base=base, layout=layout)
    objectives, points = search.objectives(), search.points(tell)
    photos, held_out = _photos(layout, "train"), _photos(layout, "validation")
    search.scorer.prepare()  # a mistake is told before anything is trained
    claim(search.folder, identity(search, photos, held_out), tell)
    with _mirrored(search) as mirror:
        book = Book(search, objectives[0], mirror)
        signum = _search(search, book, points, objectives)
        if signum is not None:
            tell(f"search: stopped; {_so_far(search, book, objectives)}")
            raise Interrupted(signum)
        best = _results(search, book, objectives)
        mirror.finish("FINISHED", sorted(layout.search.iterdir()))
    tell(_receipt(best, objectives, layout))
    if adopt:
        _adopt(search)


@contextmanager
def _mirrored(search: Search) -> Iterator[Mirror]:
    """Keep the search's MLflow run, and those of its trials below it."""
    name = search.folder.name
    params = search.config.model_dump(mode="json")
    tags = {"stage": "search", "task": search.base.task.name}
    parent = search.base.tracking.parent
    mirror = Mirror(search.folder, search.layout.root, name, params=params, tags=tags, parent=parent)
    try:
        with mirror:
            yield mirror
    except BaseException as error:
        mirror.finish("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED", deadline_s=5.0)
        raise


def _photos(layout: Layout, split: str) -> PhotoSet:
    folder = layout.prepare / split
    if not folder.is_dir():
        raise DataError(f"expected photographs in {folder}, found nothing; run 'dvc repro prepare' first")
    photos = PhotoSet.open(folder)
    if not len(photos):
        raise DataError(
            f"expected photographs in {folder} to score on, found none; hold some out with "
            "prepare.validation_photos, and run 'dvc repro prepare'"
        )
    return photos


def _results(search: Search, book: Book, objectives: list[Objective]) -> Configuration:
    """Write them; the best configuration. Raises TrainingError if there is none."""
    config, base, layout = search.config, search.base, search.layout
    return write_results(
        layout.search,
        book.records(),
        objectives,
        source_params=layout.params,
        changes_of=lambda point: {
            f"train.{name}": value for name, value in config.space.changes(point, base).items()
        },
        vertices=search.scorer.vertices,
        seeds=config.seeds,
    )


def _so_far(search: Search, book: Book, objectives: list[Objective]) -> str:
    """Write the results of the trials that have finished, if any has; a sentence about it."""
    folder, again = search.layout.search, "the same command goes on"
    records = book.records()
    finished = sum(record.state != "unfinished" for record in records)
    if not finished:  # an earlier search's results are worth more than an empty table
        return f"no trial has finished, and {folder} is as it was; {again}"
    try:
        _results(search, book, objectives)
    except TrainingError as error:
        return f"{error}; the table of trials is {folder / 'trials.csv'}"
    return f"the results of {finished} of {len(records)} trials are in {folder}; {again}"


def _search(search: Search, book: Book, points: Iterator[Point], objectives: list[Objective]) -> int | None:
    """Run all trials; the signal that asked to stop, if one did.

    Raises:
        Interrupted: it was asked twice, and stops at once.
    """
    known, clock = book.points, Clock(search.folder, search.config.minutes)
    if known:
        tell(f"search: going on, {len(known)} trials are known, in {search.folder}")
    searcher = _searcher(search, points, objectives, known)
    with (
        _cluster(search) as concurrent,
        _display(search, clock) as display,
        stop_politely(lambda _: display.say("search: stopping; trials go on from their last scores")) as stop,
    ):
        book.display = display
        try:
            drive(
                search,
                Orders(searcher, search.config.seeds[0], book.place, display.say),
                book,
                objective=objectives[0],
                concurrent=concurrent,
                over=lambda: stop() or clock.up(),
            )
        finally:
            book.close()
    return stop.signum


def _display(search: Search, clock: Clock) -> Display:
    return Display("search", total=search.count, unit="trial", rated="trials", limit_s=clock.left_s)


def _searcher(
    search: Search, points: Iterator[Point], objectives: list[Objective], known: list[Point]
) -> Searcher:
    config = search.config
    if config.algorithm != "optuna":
        return Listed(points, config.seeds)
    axes = list(config.space.axes())
    return optuna_searcher(axes, objectives, known, sampler=config.sampler, seed=config.seed + len(known))


@contextmanager
def _cluster(search: Search) -> Iterator[int]:
    """Ray, for the length of the block; how many trials it trains at a time."""
    compute = search.compute
    cores = len(os.sched_getaffinity(0))
    several = search.config.workers > 1  # trainings of their own within the cluster, which outlives them
    with ray_cluster(compute.address, num_cpus=cores, dashboard=several) as private:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        concurrent = trials_at_a_time(nodes, compute, search.config.concurrent)
        where = "this machine" if private else f"a cluster of {len(nodes)} nodes"
        tell(f"search: {concurrent} trials at a time on {where}, {search.count or 'no end of'} trials in all")
        yield concurrent


def _receipt(best: Configuration, objectives: list[Objective], layout: Layout) -> str:
    point = ", ".join(f"{name} {value}" for name, value in best.point.items())
    numbers = ", ".join(f"{o.name} {best.mean(o.name):.4g}" for o in objectives)
    return (
        f"search: best {point}: {numbers}\n"
        f"  tables   {layout.search / 'configurations.csv'}, trials.csv\n"
        f"  figure   {layout.search / 'front.png'}\n"
        f"  params   {layout.search / 'params.yaml'}, which trains the best one in full"
    )


def _adopt(search: Search) -> None:
    """Put the best configuration into ``params.yaml``, and keep what was there."""
    params, best = search.layout.params, search.layout.search / "params.yaml"
    if params.read_bytes() == best.read_bytes():
        return
    count = len(list(search.folder.glob("params-before-*.yaml")))
    before = search.folder / f"params-before-{count + 1}.yaml"
    write_atomic(before, params.read_bytes())
    write_atomic(params, best.read_bytes())
    tell(f"search: {params} has the best configuration now; as it was before: {before}")
