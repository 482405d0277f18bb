"""What the README shows runs as it stands, and its tables say what there is."""

import re
import shlex
import subprocess
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from typer.testing import CliRunner

import tunable_models
from pipelines.cli import app, stages
from pipelines.core.config import parse_section
from pipelines.core.layout import Layout
from pipelines.data.config import PrepareConfig
from pipelines.recipes import BUDGETS, find_budgets
from pipelines.recipes import TASKS as RECIPES
from pipelines.search.config import SearchConfig
from pipelines.search.candidates import draw_points
from pipelines.tasks import TASKS, TaskConfig, make_task
from pipelines.training.config import ComputeConfig, TrainConfig
from tunable_models import get_architecture, list_architectures, list_presets
from tunable_models.bases import BasisName
from zoo.pictures.formats import WRITABLE
from zoo.pictures.picture import FLOAT

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHAPTERS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", README, flags=re.DOTALL | re.MULTILINE))


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def rows(chapter: str) -> list[list[str]]:
    """The cells of a chapter's table, without its head."""
    lines = [line for line in CHAPTERS[chapter].splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def code(text: str) -> list[str]:
    """What stands between backticks, fenced blocks left out."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: pictures, settings of theirs, and no store but the bundled one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNABLE_ZOO_STORE", str(tmp_path / "none"))
    pixels = np.random.default_rng(0).integers(0, 256, (33, 47, 3), dtype=np.uint8)
    for name in ("photo.png", "in.jpg"):
        Image.fromarray(pixels).save(name)
    for name in ("photos/noon.jpg", "photos/night/in.jpg"):
        Path(name).parent.mkdir(parents=True)
        Image.fromarray(pixels).save(name)
    Path("settings.csv").write_text(blocks("csv")[0])
    return tmp_path


def test_ten_lines_restore_a_picture(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [lines] = blocks("python", CHAPTERS["Ten lines of Python"])
    names: dict[str, object] = {}
    exec(lines, names)
    assert names["restored"].size == (47, 33)  # type: ignore[attr-defined]
    assert "('denoise', 0.0, 1.0)" in capsys.readouterr().out


CHAPTERS_WITH_PYTHON = [name for name, text in CHAPTERS.items() if blocks("python", text)]


@pytest.mark.parametrize("chapter", CHAPTERS_WITH_PYTHON[1:])
@pytest.mark.slow
def test_python_runs(chapter: str, folder: Path) -> None:
    for block in blocks("python", CHAPTERS[chapter]):
        exec(block, {"__name__": "readme"})


def test_parameters_are_valid() -> None:
    photos, cluster, search = (yaml.safe_load(text) for text in blocks("yaml"))
    assert parse_section(photos["prepare"], "prepare", PrepareConfig).source == "data/photos"
    assert parse_section(cluster["train"], "train", TrainConfig).compute.most_workers == 8
    options = parse_section(search["search"], "search", SearchConfig)
    for point in islice(draw_points(list(options.space.axes()), 0), 20):
        options.space.train_config(point, TrainConfig(compute=ComputeConfig(runner="local")))


def make(arguments: list[str]) -> None:
    subprocess.run(["make", "-n", *arguments], cwd=ROOT, check=True, capture_output=True)


def tunable(arguments: list[str]) -> None:
    if arguments[0] in ("serve", "doctor"):
        # A server would not end, and the doctor wants a work tree; their tests give them what they want.
        arguments = [arguments[0], "--help"]
    dry = "--dry-run" in arguments
    if dry or arguments[0] == "search":
        Path("params.yaml").unlink(missing_ok=True)
        tunable(["recipe", "noise-level", "--out", "params.yaml"])
    result = CliRunner().invoke(app, arguments)
    # A dry run finds that nothing is prepared here, and says so.
    assert result.exit_code == (1 if dry else 0), result.output


def mkdir(arguments: list[str]) -> None:
    Path(*arguments).mkdir()


def of_others(arguments: list[str]) -> None:
    """Nothing: programs of others, with options that are theirs."""


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "make": make,
    "tunable": tunable,
    "mkdir": mkdir,
    ".": of_others,
    "dvc": of_others,
    "mlflow": of_others,
    "torchrun": of_others,
}


@pytest.mark.parametrize("block", blocks("sh"), ids=lambda block: block.split("#")[0].strip())
@pytest.mark.slow
def test_commands_run(block: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def run_stage(name: str, layout: Layout, **flags: bool) -> None:
        assert layout.params.is_file()
        ran.append(name)

    monkeypatch.setattr(stages, "run_stage", run_stage)
    for line in block.splitlines():
        for command in line.partition("#")[0].split(";"):
            program, *arguments = shlex.split(command.partition(">")[0])
            COMMANDS[program](arguments)
    road = list(stages.ROAD) if "run all" in block else []
    searches = ["search", "search", *stages.ROAD[1:]] if "tunable search" in block else []
    assert ran == road + searches


def test_every_file_it_names_is_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    paths = re.findall(r"`((?:tunable_models|pipelines|zoo|tests|benchmarks|data)/[\w./-]*)`", README)
    assert links
    assert paths
    assert [path for path in [*links, *paths] if not (ROOT / path).exists()] == []


def test_modules_named_in_the_tree_are_there() -> None:
    named = code(CHAPTERS["The tree, in reading order"])
    folders: list[Path] = [ROOT]
    missing = []
    for name in named:
        found = [folder / name for folder in folders if (folder / name).exists()]
        folders = [*folders, *(path for path in found if path.is_dir())]
        if not found and ("/" in name or name.endswith((".py", ".yaml"))):
            missing.append(name)
    assert missing == []


@pytest.mark.slow
def test_table_of_architectures() -> None:
    table = rows("Architectures")
    assert [code(row[0]) for row in table] == [[name] for name in list_architectures()]
    for row in table:
        [name] = code(row[0])
        presets = code(row[1])
        assert presets == list_presets(name)
        with torch.device("meta"):
            built = [get_architecture(name).build(preset) for preset in presets]
        counts = [sum(parameter.numel() for parameter in network.parameters()) / 1e6 for network in built]
        assert row[2].split() == [f"{count:.3f}" for count in counts]
        contracts = [get_architecture(name).contract(preset) for preset in presets]
        assert {row[4]} == {str(contract.alignment) for contract in contracts}
        assert row[3] == seen([contract.radius_px for contract in contracts])


def seen(radii: list[int | None]) -> str:
    known = [radius for radius in radii if radius is not None]
    if len(known) < len(radii):
        return "the whole picture"
    low, high = min(known), max(known)
    return f"{low} px around" if low == high else f"{low} to {high} px around"


def test_table_of_objectives_samplers_and_metrics() -> None:
    table = {row[0]: set(code(row[1])) for row in rows("Objectives, sampling and metrics")}
    named = set().union(*table.values())
    assert named <= {*tunable_models.__all__, *(f"{name}s" for name in tunable_models.__all__)}
    objectives = {
        name for name in public("objectives") if hasattr(getattr(tunable_models, name), "needs_target")
    }
    assert objectives - {"Objective"} <= named
    assert public("sampling") - {"Sampler"} == table["samplers, on a box and on a simplex"]
    assert public("metrics") == table["metrics"]


def public(folder: str) -> set[str]:
    """The package's public names that come from one of its folders."""
    names = {name: getattr(tunable_models, name) for name in tunable_models.__all__}
    return {name for name, item in names.items() if item.__module__.startswith(f"tunable_models.{folder}.")}


def test_table_of_tasks() -> None:
    table = {code(row[0])[0]: row[1] for row in rows("Tasks")}
    assert list(table) == [task.name for task in TASKS] == list(RECIPES)
    union, _ = get_args(TaskConfig)
    for config in get_args(union):
        space = make_task(config()).space
        cell = table[config().name]
        assert code(cell) == list(space.names)
        assert cell.endswith("sum 1") == (space.kind == "simplex")


def test_table_of_budgets() -> None:
    table = {code(row[0])[0]: row[2] for row in rows("Recipes")}
    assert tuple(table) == BUDGETS
    for budget, cell in table.items():
        having = [task for task in RECIPES if budget in find_budgets(task)]
        assert (list(RECIPES) if cell == "all" else code(cell)) == having


def test_table_of_formats() -> None:
    table = {code(row[0])[0]: row[1:] for row in rows("Restore pictures")}
    assert [f".{name}" for name in table] == [form.suffixes[0] for form in WRITABLE]
    for form, (depths, alpha, side, quality) in zip(WRITABLE, table.values(), strict=True):
        assert depths.split(", ") == ["float" if bits == FLOAT else str(bits) for bits in form.bits]
        assert (alpha == "yes") == form.transparent
        assert side == f"{form.side_px:,}"
        assert bool(quality) == (form.lossy is not None)


def test_bases_are_named() -> None:
    assert set(get_args(BasisName)) <= set(code(CHAPTERS["Make your own network tunable"]))
