"""Pictures are written whole, in order and bounded memory, and one that is broken stops no other."""

import errno
import io
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

import zoo
from pipelines.apply import work as work_module
from pipelines.apply.outcome import Outcome
from pipelines.apply.outputs import Guard
from pipelines.apply.plan import Task
from pipelines.apply.work import Meter, Options, Work
from pipelines.core.progress import Display

MakeTasks = Callable[..., list[Task]]


def make_work(model: zoo.Predictor, options: Options | None = None, guard: Guard | None = None) -> Work:
    display = Display("apply", total=None, quiet=True)
    return Work(model, guard or Guard([]), options or Options(), display.__enter__())


def run(model: zoo.Predictor, tasks: list[Task], **options: Any) -> list[Outcome]:
    return list(make_work(model, Options(**options)).outcomes(tasks))


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_results_are_the_predictor_s_in_order(model: zoo.Predictor, make_tasks: MakeTasks, jobs: int) -> None:
    tasks = make_tasks(4)
    outcomes = run(model, tasks, jobs=jobs)
    assert [outcome.job for outcome in outcomes] == [task.job for task in tasks]
    for outcome in outcomes:
        assert (outcome.status, outcome.size, outcome.megapixels) == ("written", (40, 30), 0.0012)
        assert outcome.values == {"denoise": 0.5, "level": 25.0}
        with Image.open(outcome.job.output) as picture:
            wanted = model(outcome.job.source.content, denoise=0.5)
            assert np.array_equal(np.asarray(picture), np.asarray(wanted))


def test_what_is_broken_stops_no_other(model: zoo.Predictor, make_tasks: MakeTasks) -> None:
    tasks = make_tasks(3)
    Path("photos/1.png").write_bytes(Path("photos/1.png").read_bytes()[:60])
    outcomes = run(model, tasks)
    assert [outcome.status for outcome in outcomes] == ["written", "failed", "written"]
    assert outcomes[1].sentence().startswith("failed photos/1.png: ")
    assert sorted(path.name for path in Path("out").iterdir()) == ["0.png", "2.png"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError("of 9 TB"), "no memory for this picture (of 9 TB); say a smaller --tile, or --jobs 1"),
        (PermissionError(errno.EACCES, "Permission denied", "out/0.png"), "out/0.png: Permission denied"),
        (zoo.EngineError("onnxruntime failed"), "onnxruntime failed"),
    ],
)
def test_known_faults_are_of_one_picture(
    model: zoo.Predictor, make_tasks: MakeTasks, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(model, "restore", fail)
    assert [outcome.error for outcome in run(model, make_tasks(2))] == [said, said]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), RuntimeError("a bug")])
def test_a_full_disk_and_bugs_end_the_work(
    model: zoo.Predictor, make_tasks: MakeTasks, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(work_module, "write_atomic", fail)
    with pytest.raises(type(error)):
        run(model, make_tasks(3))


def test_no_more_pictures_are_open_than_jobs_and_one_is_computed(
    model: zoo.Predictor, make_tasks: MakeTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, restore, lock = work_module.read_pages, model.restore, threading.Lock()
    both, begun, counts = threading.Barrier(2), [], {"open": 0, "computed": 0}
    most = dict(counts)

    def counted(name: str, step: int) -> None:
        with lock:
            counts[name] += step
            most[name] = max(most[name], counts[name])

    def reading(*args: Any, **options: Any) -> Image.Image:
        counted("open", 1)
        if len(begun) < 2:  # the first two are open at the same time
            begun.append(1)
            both.wait()
        return read(*args, **options)

    def computing(*args: Any, **options: Any) -> Image.Image:
        counted("computed", 1)
        result = restore(*args, **options)
        counted("computed", -1)
        return result

    def wrote(*_: object) -> None:
        counted("open", -1)

    monkeypatch.setattr(work_module, "read_pages", reading)
    monkeypatch.setattr(model, "restore", computing)
    monkeypatch.setattr(work_module, "write_atomic", wrote)
    run(model, make_tasks(6), jobs=2)
    assert most == {"open": 2, "computed": 1}


def test_work_that_is_left_ends_with_the_tile_it_is_at(
    model: zoo.Predictor, make_tasks: MakeTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    restore, tasks, endless = model.restore, make_tasks(3), threading.Event()

    def restoring(picture: Image.Image, values: Mapping[str, float], *, on_tile: Any) -> Image.Image:
        if Path("out/0.png").exists():
            endless.set()
            while True:
                on_tile(1, 2)
        return restore(picture, values, on_tile=on_tile)

    monkeypatch.setattr(model, "restore", restoring)
    out = io.StringIO()
    with Display("apply", total=3, unit="picture", stream=out) as display:
        outcomes = Work(model, Guard([]), Options(jobs=1), display).outcomes(tasks)
        assert next(outcomes).status == "written"
        endless.wait()
        outcomes.close()  # type: ignore[attr-defined]
    assert "picture 1/3" in out.getvalue().splitlines()[-1]
    assert [path.name for path in Path("out").iterdir()] == ["0.png"]


def test_files_that_came_meanwhile_are_not_replaced(model: zoo.Predictor, make_tasks: MakeTasks) -> None:
    tasks = make_tasks(2)
    Path("out").mkdir()
    Path("out/0.png").write_bytes(b"of another")
    first, second = run(model, tasks)
    assert "came into being meanwhile; --overwrite replaces it" in str(first.error)
    assert second.status == "written"
    assert Path("out/0.png").read_bytes() == b"of another"
    assert run(model, tasks, overwrite=True)[0].status == "written"


def test_inputs_are_not_overwritten_though_a_name_leads_there_meanwhile(
    model: zoo.Predictor, make_tasks: MakeTasks
) -> None:
    tasks = make_tasks(1)
    Path("out").mkdir()
    Path("out/0.png").hardlink_to("photos/0.png")
    before = Path("photos/0.png").read_bytes()
    work = make_work(model, Options(overwrite=True), Guard([Path("photos/0.png")]))
    [outcome] = work.outcomes(tasks)
    assert "is the input photos/0.png, which is never overwritten" in str(outcome.error)
    assert Path("photos/0.png").read_bytes() == before


def test_progress_is_of_tiles_and_megapixels(make_tasks: MakeTasks, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock:
        now_s = 100.0

        def monotonic(self) -> float:
            return self.now_s

    class Shown:
        """A display that keeps what it is told."""

        states: ClassVar[list[tuple[Any, ...]]] = []

        def update(self, done: float, *, rate: float, left_s: float, facts: Mapping[str, str]) -> None:
            self.states.append((done, round(rate, 6), left_s, dict(facts)))

    monkeypatch.setattr(work_module, "time", Clock())
    tasks = make_tasks(2, width=100)
    meter = Meter(Shown(), tasks)  # type: ignore[arg-type]
    Clock.now_s = 103.0
    meter.tile(tasks[0], 1, 2)
    meter.ends(tasks[0])
    meter.tile(tasks[1], 1, 1)
    meter.ends(tasks[1])
    assert Shown.states == [
        (0.5, 0.0005, 9.0, {"tile": "1/2 of 0.png"}),
        (1, 0.001, 3.0, {}),
        (2.0, 0.002, 0.0, {}),
        (2, 0.002, 0.0, {}),
    ]
