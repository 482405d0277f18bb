"""The code in README and manual runs as it is shown, and their tables agree with the code."""

import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from PIL import Image
from typer.testing import CliRunner

import tunable_models
from pipelines.cli import app, stages
from pipelines.core.config import load_section, parse_section
from pipelines.core.layout import Layout
from pipelines.data.config import PrepareConfig
from pipelines.doctor.options import MODELS
from pipelines.evaluate.config import EvaluateConfig
from pipelines.recipes import BUDGETS, find_budgets
from pipelines.recipes import TASKS as RECIPES
from pipelines.search.candidates import draw_points
from pipelines.search.config import SearchConfig
from pipelines.serve.config import ServeConfig
from pipelines.serve.local import serve_locally
from pipelines.tasks import TASKS, make_task
from pipelines.training.config import ComputeConfig, TrainConfig
from published import publish_small
from tunable_models import get_architecture, list_architectures, list_presets
from tunable_models.bases import BasisName
from zoo import read_image
from zoo.catalog import bundled_store
from zoo.pictures.formats import WRITABLE
from zoo.pictures.picture import FLOAT

ROOT = Path(__file__).parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
}
FENCED = re.compile(r"```.*?```", re.DOTALL)


def split_chapters(text: str) -> dict[str, str]:
    """Chapters by heading, of the first and the second level alike."""
    return dict(re.findall(r"^##? (.*?)\n(.*?)(?=^##? |\Z)", text, flags=re.DOTALL | re.MULTILINE))


# A line of a shell block may begin as a heading does: headings are looked for outside blocks.
def hide_comments(text: str) -> str:
    return FENCED.sub(lambda match: re.sub(r"^#", "\0#", match[0], flags=re.MULTILINE), text)


CHAPTERS = {
    (page, heading): chapter.replace("\0", "")
    for page, text in PAGES.items()
    for heading, chapter in split_chapters(hide_comments(text)).items()
}


def find_blocks(language: str, text: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def find_chapter(heading: str) -> str:
    [chapter] = [text for (_, name), text in CHAPTERS.items() if name == heading]
    return chapter


def find_rows(heading: str) -> list[list[str]]:
    """The cells of a chapter's table, without its head."""
    lines = [line for line in find_chapter(heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def find_code(text: str) -> list[str]:
    """What is between backticks, fenced blocks left out."""
    return re.findall(r"`([^`\n]+)`", FENCED.sub("", text))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: pictures, settings of theirs, and no store but the bundled one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUNABLE_ZOO_STORE", str(tmp_path / "none"))
    monkeypatch.setenv("TUNABLE_ZOO_CONFIG", str(tmp_path / "config"))
    pixels = np.random.default_rng(0).integers(0, 256, (33, 47, 3), dtype=np.uint8)
    for name in ("photo.png", "in.jpg"):
        Image.fromarray(pixels).save(name)
    for name in ("photos/noon.jpg", "photos/night/in.jpg"):
        Path(name).parent.mkdir(parents=True)
        Image.fromarray(pixels).save(name)
    Path("settings.csv").write_text(find_blocks("csv", PAGES["docs/apply.md"])[0])
    return tmp_path


def test_ten_lines_restore_a_picture(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [lines] = find_blocks("python", find_chapter("Ten lines of Python"))
    names: dict[str, object] = {}
    exec(lines, names)
    assert names["restored"].size == (47, 33)  # type: ignore[attr-defined]
    assert "('denoise', 0.0, 1.0)" in capsys.readouterr().out


CLIENT = ("docs/serve.md", "From Python")
WITH_PYTHON = [
    key for key, text in CHAPTERS.items() if key[0] != "README.md" and key != CLIENT and "```python" in text
]


@pytest.mark.parametrize("chapter", WITH_PYTHON, ids=" ".join)
@pytest.mark.slow
def test_python_runs(chapter: tuple[str, str], folder: Path) -> None:
    for block in find_blocks("python", CHAPTERS[chapter]):
        exec(block, {"__name__": "manual"})


@pytest.mark.server
@pytest.mark.slow
def test_the_client_runs(folder: Path) -> None:
    [block] = find_blocks("python", CHAPTERS[CLIENT])
    entry = bundled_store().open("denoise")
    with serve_locally({"denoise": entry.folder}, ServeConfig(port=0, engine="torch")) as url:
        exec(block.replace("http://127.0.0.1:8000", url), {"__name__": "manual"})
    assert [read_image(path).size for path in sorted(folder.glob("out-*.png"))] == [(47, 33)] * 3


def find_options(page: str) -> Any:
    """Those of the first block."""
    return yaml.safe_load(find_blocks("yaml", PAGES[f"docs/{page}.md"])[0])


def test_machine_settings_are_valid(tmp_path: Path) -> None:
    [local] = find_blocks("yaml", find_chapter("Settings of a machine"))
    (tmp_path / "local.yaml").write_text(local)
    (tmp_path / "params.yaml").touch()
    assert load_section(tmp_path / "params.yaml", "train", TrainConfig).compute.use_gpu
    assert load_section(tmp_path / "params.yaml", "evaluate", EvaluateConfig).device == "cuda"
    named = set(find_code(find_chapter("Settings of a machine")))
    for name, model in MODELS.items():
        options = {f"{name}.{option}" for option in model.machine}
        assert options <= named or name == "serve"
        assert not {f"{name}.{field}" for field in model.model_fields} & named - options


def test_parameters_are_valid() -> None:
    prepare, train, search = (find_options(page) for page in ("train", "cluster", "search"))
    assert parse_section(prepare["prepare"], "prepare", PrepareConfig).source == "data/photos"
    assert parse_section(train["train"], "train", TrainConfig).compute.most_workers == 8
    assert parse_section(find_options("serve"), "serve", ServeConfig).num_gpus == 0.5
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
    if arguments[0] == "export":
        arguments = ["export", publish_stand_in(arguments[1]), *arguments[2:]]
    result = CliRunner().invoke(app, arguments)
    # A dry run finds that nothing is prepared here, and says so.
    assert result.exit_code == (1 if dry else 0), result.output


def publish_stand_in(name: str) -> str:
    """A small entry with the sliders of a bundled one, whose own export takes seconds and has its tests."""
    space = bundled_store().open(name).manifest.control_space
    return str(publish_small(Path("small"), space, name=name).folder)


def mkdir(arguments: list[str]) -> None:
    Path(*arguments).mkdir()


def of_others(arguments: list[str]) -> None:
    """Nothing: programs of others, with options that are theirs."""


def make_key(arguments: list[str]) -> None:
    """The pair of keys that ssh-keygen makes, which not every machine has."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    Path(arguments[-1]).write_bytes(private)
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    Path(f"{arguments[-1]}.pub").write_bytes(public)


def copy(arguments: list[str]) -> None:
    source, target = arguments
    shutil.copy(ROOT / source, target)


COMMANDS: dict[str, Callable[[list[str]], None]] = {
    "make": make,
    "tunable": tunable,
    "mkdir": mkdir,
    "cp": copy,
    ".": of_others,
    "export": of_others,
    "git": of_others,
    "pip": of_others,
    "dvc": of_others,
    "mlflow": of_others,
    "ray": of_others,
    "serve": of_others,
    "ssh-keygen": make_key,
    "torchrun": of_others,
}


@pytest.mark.parametrize(
    "block",
    [block for text in PAGES.values() for block in find_blocks("sh", text)],
    ids=lambda block: block.split("#")[0].strip(),
)
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
    road = list(stages.PIPELINE) if "run all" in block and "ray job" not in block else []
    searches = ["search", "search", *stages.PIPELINE[1:]] if "tunable search" in block else []
    assert ran == road + searches


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md"])
def test_files_that_a_page_names_exist(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#\s]+)", FENCED.sub("", text))
    paths = re.findall(r"`((?:tunable_models|pipelines|zoo|tests|benchmarks|data|deploy)/[\w./-]*)`", text)
    missing = [link for link in links if not (ROOT / page).parent.joinpath(link).exists()]
    assert missing + [path for path in paths if not (ROOT / path).exists()] == []


def test_changelog_and_citation_have_the_version() -> None:
    """The newest release; what comes after it is under Unreleased."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    releases = re.findall(
        r"^## \[(\d.*?)\] - ([\d-]+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert releases[0] == (version, str(citation["date-released"]))
    assert str(citation["version"]) == version


def test_the_readme_is_short() -> None:
    assert len(PAGES["README.md"].splitlines()) <= 200


@pytest.mark.slow
def test_table_of_architectures() -> None:
    table = find_rows("Architectures")
    assert [find_code(row[0]) for row in table] == [[name] for name in list_architectures()]
    for row in table:
        [name] = find_code(row[0])
        presets = find_code(row[1])
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
    table = {row[0]: set(find_code(row[1])) for row in find_rows("Objectives, sampling and metrics")}
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
    table = {find_code(row[0])[0]: row[1] for row in find_rows("Tasks")}
    assert list(table) == [task.name for task in TASKS] == list(RECIPES)
    for task in TASKS:
        space = make_task(task.config_class()).space
        cell = table[task.name]
        assert find_code(cell) == list(space.names)
        assert cell.endswith("sum 1") == (space.kind == "simplex")


def test_table_of_budgets() -> None:
    table = {find_code(row[0])[0]: row[2] for row in find_rows("Recipes")}
    assert tuple(table) == BUDGETS
    for budget, cell in table.items():
        having = [task for task in RECIPES if budget in find_budgets(task)]
        assert (list(RECIPES) if cell == "all" else find_code(cell)) == having


def test_table_of_formats() -> None:
    table = {find_code(row[0])[0]: row[1:] for row in find_rows("Formats")}
    assert [f".{name}" for name in table] == [form.suffixes[0] for form in WRITABLE]
    for form, (depths, alpha, side, quality) in zip(WRITABLE, table.values(), strict=True):
        assert depths.split(", ") == ["float" if bits == FLOAT else str(bits) for bits in form.bits]
        assert (alpha == "yes") == form.transparent
        assert side == f"{form.side_px:,}"
        assert bool(quality) == (form.lossy is not None)


def test_bases_are_named() -> None:
    assert set(get_args(BasisName)) <= set(find_code(find_chapter("Tunable convolution")))
