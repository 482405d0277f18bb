"""The ``search`` stage: trains many small runs, scores their sliders, and ranks their options.

Its state is in ``.state/search-<name>``: a folder for each trial (see :mod:`pipelines.search.trial`), the
identity of the search (``search.json``) and the time spent. So it resumes after any interruption. Its
artefacts (``artifacts/search``, see :mod:`pipelines.search.results.writing`) are written at the end, and
after a stop request.
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
from pipelines.search.axes import Point
from pipelines.search.budget import TimeBudget, count_concurrent_trials
from pipelines.search.config import SearchConfig
from pipelines.search.identity import claim_folder, identify_search
from pipelines.search.results.configurations import Configuration
from pipelines.search.results.writing import write_results
from pipelines.search.search import Search
from pipelines.search.searchers import ListSearcher, SpecSearcher, make_optuna_searcher
from pipelines.search.store import TrialStore
from pipelines.search.trial import Objective
from pipelines.search.tune import run_tune
from pipelines.tracking.context import choose_run_name, describe_context
from pipelines.tracking.sync import RunSync
from pipelines.training.config import TrainConfig


def run(config: SearchConfig, layout: Layout, *, adopt: bool = False) -> None:
    """Start or resume a search, and write the results.

    Args:
        config: of the search.
        layout: of the work tree; section ``train`` of its parameters is what every trial starts from.
        adopt: put the best configuration into the work tree's ``params.yaml``.

    Raises:
        ConfigError: the space, the objectives or the cluster do not fit; or another search has the name.
        DataError: no photographs to train or to score on.
        TrainingError: no configuration was trained with every seed.
        Interrupted: a stop was requested; the results of finished trials are written, the others resume from
            their last checkpoints.
    """
    if world_size() > 1:
        raise ConfigError(f"torchrun started {world_size()} processes; run a search without it")
    base = load_section(layout.params, "train", TrainConfig)
    search = Search(config=config, base=base, layout=layout)
    objectives, points = search.objectives(), search.points()
    photos, held_out = _open_photos(layout, "train"), _open_photos(layout, "validation")
    search.scorer.prepare()  # a mistake is reported before anything is trained
    claim_folder(search.folder, identify_search(search, photos, held_out))
    with _track_search(search) as sync:
        store = TrialStore(search, objectives[0], sync)
        signum = _run_trials(search, store, points, objectives)
        if signum is not None:
            tell(f"search: stopped; {_write_partial_results(search, store, objectives)}")
            raise Interrupted(signum)
        best = _write_results(search, store, objectives)
        sync.finish("FINISHED", sorted(layout.search.iterdir()))
    tell(_summarize_results(best, objectives, layout))
    if adopt:
        _adopt_best(search)


@contextmanager
def _track_search(search: Search) -> Iterator[RunSync]:
    """Keep the MLflow runs of the search and of its trials below it."""
    params = search.config.model_dump(mode="json")
    root = search.layout.root
    sync = RunSync(
        search.folder,
        root,
        choose_run_name(search.folder.name),
        params=params,
        tags={
            "stage": "search",
            "task": search.base.task.name,
            **describe_context(root, "tunable search"),
        },
        parent=search.base.tracking.parent,
        group="search",
    )
    try:
        with sync:
            yield sync
    except BaseException as error:
        sync.finish("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED", deadline_s=5.0)
        raise


def _open_photos(layout: Layout, split: str) -> PhotoSet:
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


def _run_trials(
    search: Search, store: TrialStore, points: Iterator[Point], objectives: list[Objective]
) -> int | None:
    """Run all trials; the signal that requested a stop, if any.

    Raises:
        Interrupted: a second signal requested to stop at once.
    """
    config, known = search.config, store.points
    if known:
        tell(f"search: resuming with {len(known)} known trials in {search.folder}")
    budget = TimeBudget(search.folder, config.minutes)
    searcher: Searcher = ListSearcher(points, config.seeds)
    if config.algorithm == "optuna":
        axes, seed = list(config.space.axes()), config.seed + len(known)
        searcher = make_optuna_searcher(axes, objectives, known, sampler=config.sampler, seed=seed)
    with (
        _start_cluster(search) as concurrent,
        Display("search", total=search.count, unit="trial", rated="trials", limit_s=budget.left_s) as display,
        stop_politely(
            lambda _: display.say("search: stopping; trials resume from their last scores")
        ) as stop,
    ):
        store.display = display
        try:
            run_tune(
                search,
                SpecSearcher(searcher, config.seeds[0], store.add),
                store,
                objective=objectives[0],
                concurrent=concurrent,
                is_over=lambda: stop() or budget.is_spent(),
            )
        finally:
            store.close()
    return stop.signum


@contextmanager
def _start_cluster(search: Search) -> Iterator[int]:
    """Start or join Ray for the length of the block; how many trials run concurrently."""
    compute = search.compute
    cores = len(os.sched_getaffinity(0))
    several = search.config.workers > 1  # their trainings outlive the trial that started them
    with ray_cluster(compute.address, num_cpus=cores, dashboard=several) as private:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
        concurrent = count_concurrent_trials(nodes, compute, search.config.concurrent)
        where = "this machine" if private else f"a cluster of {len(nodes)} nodes"
        limit = f"{search.count} in total" if search.count else "no limit on the number of trials"
        tell(f"search: running {concurrent} trials concurrently on {where} ({limit})")
        yield concurrent


def _write_results(search: Search, store: TrialStore, objectives: list[Objective]) -> Configuration:
    """Write the results; the best configuration. Raises TrainingError if there is none."""
    config, base, layout = search.config, search.base, search.layout
    return write_results(
        layout.search,
        store.records(),
        objectives,
        source_params=layout.params,
        changes_of=lambda point: {
            f"train.{name}": value for name, value in config.space.changes(point, base).items()
        },
        vertices=search.scorer.vertices,
        seeds=config.seeds,
    )


def _write_partial_results(search: Search, store: TrialStore, objectives: list[Objective]) -> str:
    """Write the results of finished trials, if any; a sentence about it."""
    folder, resume = search.layout.search, "run the same command to resume"
    records = store.records()
    finished = sum(record.state != "unfinished" for record in records)
    if not finished:  # an earlier search's results are worth more than an empty table
        return f"no trial has finished, and {folder} is unchanged; {resume}"
    try:
        _write_results(search, store, objectives)
    except TrainingError as error:
        return f"{error}; the table of trials is {folder / 'trials.csv'}"
    return f"the results of {finished} of {len(records)} trials are in {folder}; {resume}"


def _summarize_results(best: Configuration, objectives: list[Objective], layout: Layout) -> str:
    point = ", ".join(f"{name} {value}" for name, value in best.point.items())
    numbers = ", ".join(f"{o.name} {best.mean(o.name):.4g}" for o in objectives)
    return (
        f"search: best {point}: {numbers}\n"
        f"  tables   {layout.search / 'configurations.csv'}, trials.csv\n"
        f"  figure   {layout.search / 'front.png'}\n"
        f"  params   {layout.search / 'params.yaml'}, which trains the best one in full"
    )


def _adopt_best(search: Search) -> None:
    """Put the best configuration into ``params.yaml``, and keep a copy of the earlier file."""
    params, best = search.layout.params, search.layout.search / "params.yaml"
    if params.read_bytes() == best.read_bytes():
        return
    count = len(list(search.folder.glob("params-before-*.yaml")))
    before = search.folder / f"params-before-{count + 1}.yaml"
    write_atomic(before, params.read_bytes())
    write_atomic(params, best.read_bytes())
    tell(f"search: put the best configuration into {params}; the earlier file is {before}")
