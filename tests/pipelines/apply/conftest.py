"""A tiny model, and pictures to do."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import zoo
from pipelines.apply.inputs import collect_inputs
from pipelines.apply.outputs import assign_targets
from pipelines.apply.plan import Limits, Task, plan_tasks
from pipelines.apply.settings import Settings
from published import publish_small
from tunable_models import Control, ControlSpace

SPACE = ControlSpace.box("denoise", Control(name="level", high=50.0, default=25.0))


@pytest.fixture(scope="session")
def entry(tmp_path_factory: pytest.TempPathFactory) -> zoo.Entry:
    return publish_small(tmp_path_factory.mktemp("store"), SPACE)


@pytest.fixture
def model(entry: zoo.Entry) -> zoo.Predictor:
    return zoo.load(str(entry.folder))


@pytest.fixture
def make_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Task]]:
    """Tasks for so many pictures of the current folder ``photos``, results in ``out``."""
    monkeypatch.chdir(tmp_path)

    def make(count: int = 3, width: int = 40) -> list[Task]:
        Path("photos").mkdir()
        for number in range(count):
            Image.linear_gradient("L").resize((width, 30)).convert("RGB").save(f"photos/{number}.png")
        jobs = assign_targets(collect_inputs(["photos"], "out"), "out")
        tasks = list(plan_tasks(jobs, Settings({"denoise": 0.5}, {}), Limits(10_000)))
        assert all(isinstance(task, Task) for task in tasks)
        return tasks  # type: ignore[return-value]

    return make
