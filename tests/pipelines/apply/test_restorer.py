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
from pipelines.apply import restorer as restorer_module
from pipelines.apply.outcome import Outcome
from pipelines.apply.outputs import OverwriteGuard
from pipelines.apply.plan import Task
from pipelines.apply.restorer import ProgressMeter, Restorer, WriteOptions
from pipelines.core.progress import Display

MakeTasks = Callable[..., list[Task]]


def make_restorer(
    model: zoo.Predictor, options: WriteOptions | None = None, guard: OverwriteGuard | None = None
) -> Restorer:
    display = Display("apply", total=None, quiet=True)
    return Restorer(model, guard or OverwriteGuard([]), options or WriteOptions(), display.__enter__())


def restore_all(model: zoo.Predictor, tasks: list[Task], **options: Any) -> list[Outcome]:
    return list(make_restorer(model, WriteOptions(**options)).run(tasks))


@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_results_are_the_predictor_s_in_order(model: zoo.Predictor, make_tasks: MakeTasks, jobs: int) -> None:
    tasks = make_tasks(4)
    outcomes = restore_all(model, tasks, jobs=jobs)
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
    outcomes = restore_all(model, tasks)
    assert [outcome.status for outcome in outcomes] == ["written", "failed", "written"]
    assert outcomes[1].sentence().startswith("failed photos/1.png: ")
    assert sorted(path.name for path in Path("out").iterdir()) == ["0.png", "2.png"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            MemoryError("of 9 TB"),
            "out of memory for this picture (of 9 TB); use a smaller --tile or --jobs 1",
        ),
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
    assert [outcome.error for outcome in restore_all(model, make_tasks(2))] == [said, said]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), RuntimeError("a bug")])
def test_a_full_disk_and_bugs_end_the_work(
    model: zoo.Predictor, make_tasks: MakeTasks, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(restorer_module, "write_atomic", fail)
    with pytest.raises(type(error)):
        restore_all(model, make_tasks(3))


def test_no_more_pictures_are_open_than_jobs_and_one_is_computed(
    model: zoo.Predictor, make_tasks: MakeTasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, restore, lock = restorer_module.read_pages, model.restore, threading.Lock()
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

    monkeypatch.setattr(restorer_module, "read_pages", reading)
    monkeypatch.setattr(model, "restore", computing)
    monkeypatch.setattr(restorer_module, "write_atomic", wrote)
    restore_all(model, make_tasks(6), jobs=2)
    assert most == {"open": 2, "computed": 1}


def test_a_consumer_that_leaves_cancels_after_the_current_tile(
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
        outcomes = Restorer(model, OverwriteGuard([]), WriteOptions(jobs=1), display).run(tasks)
        assert next(outcomes).status == "written"
        endless.wait()
        outcomes.close()  # type: ignore[attr-defined]
    assert "picture 1/3" in out.getvalue().splitlines()[-1]
    assert [path.name for path in Path("out").iterdir()] == ["0.png"]


def test_files_created_meanwhile_are_not_replaced(model: zoo.Predictor, make_tasks: MakeTasks) -> None:
    tasks = make_tasks(2)
    Path("out").mkdir()
    Path("out/0.png").write_bytes(b"of another")
    first, second = restore_all(model, tasks)
    assert "--overwrite" in str(first.error)
    assert second.status == "written"
    assert Path("out/0.png").read_bytes() == b"of another"
    assert restore_all(model, tasks, overwrite=True)[0].status == "written"


def test_inputs_are_not_overwritten_through_a_link_created_meanwhile(
    model: zoo.Predictor, make_tasks: MakeTasks
) -> None:
    tasks = make_tasks(1)
    Path("out").mkdir()
    Path("out/0.png").hardlink_to("photos/0.png")
    before = Path("photos/0.png").read_bytes()
    restorer = make_restorer(model, WriteOptions(overwrite=True), OverwriteGuard([Path("photos/0.png")]))
    [outcome] = restorer.run(tasks)
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

    monkeypatch.setattr(restorer_module, "time", Clock())
    tasks = make_tasks(2, width=100)
    meter = ProgressMeter(Shown(), tasks)  # type: ignore[arg-type]
    Clock.now_s = 103.0
    meter.update(tasks[0], 1, 2)
    meter.end_task(tasks[0])
    meter.update(tasks[1], 1, 1)
    meter.end_task(tasks[1])
    assert Shown.states == [
        (0.5, 0.0005, 9.0, {"tile": "1/2 of 0.png"}),
        (1, 0.001, 3.0, {}),
        (2.0, 0.002, 0.0, {}),
        (2, 0.002, 0.0, {}),
    ]
