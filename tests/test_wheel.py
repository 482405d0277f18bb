"""The built wheel installs, imports and starts with what the base install brings, and nothing else."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
SOURCES = ("tunable_models", "zoo", "pipelines", "pyproject.toml", "README.md", "LICENSE")

# Hides every installed module that the base install would not have.
GUARD = """
class Guard:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        hidden = name.split(".")[0] in DENIED
        return None if hidden else self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(Guard, sys.meta_path)
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    run("-m", "build", "--wheel", "--no-isolation", "--outdir", source / "dist", source)
    [wheel] = (source / "dist").glob("*.whl")
    target = tmp_path_factory.mktemp("site")
    run("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", target, wheel)
    return target


@pytest.fixture(autouse=True)
def _no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What somebody has published here is no affair of the wheel's."""
    monkeypatch.setenv("TUNABLE_ZOO_STORE", str(tmp_path / "none"))


def run(*arguments: object) -> str:
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT.anchor)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def base_distributions(name: str = "tunable-zoo") -> set[str]:
    """Names of the distributions that a plain install of ``name`` brings, itself included."""
    found: set[str] = set()
    queue: list[tuple[str, frozenset[str]]] = [(name, frozenset())]
    while queue:
        current, extras = queue.pop()
        if canonical(current) in found:
            continue
        try:
            requirements = distribution(current).requires or []
        except PackageNotFoundError:
            continue
        found.add(canonical(current))
        queue += wanted(requirements, extras)
    return found


def wanted(requirements: list[str], extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    for requirement in map(Requirement, requirements):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras | {""}):
            yield requirement.name, frozenset(requirement.extras)


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def denied() -> frozenset[str]:
    """The modules that the base install would not have."""
    allowed = base_distributions()
    found = {
        module
        for module, owners in packages_distributions().items()
        if module not in SOURCES and not any(canonical(owner) in allowed for owner in owners)
    }
    assert {"ray", "mlflow", "dvc", "albumentations", "lpips", "fastapi"} <= found
    return frozenset(found)


def guarded(installed: Path, code: str) -> str:
    head = f"import sys; sys.path.insert(0, {str(installed)!r}); DENIED = {sorted(denied())!r}\n"
    return run("-c", head + GUARD + code)


def test_it_imports_and_works_on_the_base_install(installed: Path) -> None:
    code = """
import torch, tunable_models, zoo
assert tunable_models.__file__.startswith(sys.path[0]), tunable_models.__file__
net = tunable_models.make_tunable(tunable_models.build("edsr", width=4, blocks=1), 2)
net(torch.rand(1, 3, 8, 8), omega=torch.rand(2))
print([entry.name for entry in zoo.list_models()])
"""
    assert guarded(installed, code).startswith("[")


@pytest.mark.parametrize("arguments", [["--help"], ["zoo", "list"], ["zoo", "--help"], ["apply", "--help"]])
def test_the_command_starts_on_the_base_install(installed: Path, arguments: list[str]) -> None:
    code = f"sys.argv = ['tunable', *{arguments!r}]\nfrom pipelines.cli import main\nmain()"
    guarded(installed, code)


def test_a_missing_extra_is_told_in_a_sentence(installed: Path) -> None:
    code = """
sys.argv = ["tunable", "serve", "anything"]
from pipelines.cli import main
sys.stderr = sys.stdout
try:
    main()
except SystemExit as end:
    print("exit", end.code)
"""
    told = guarded(installed, code)
    assert "pip install 'tunable-zoo[serve]'" in told
    assert "exit 1" in told


def test_nothing_but_the_packages_is_in_it(installed: Path) -> None:
    tops = {path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")}
    assert tops - {"bin"} == {"tunable_models", "zoo", "pipelines"}
    for package in tops - {"bin"}:
        assert (installed / package / "py.typed").is_file()
    assert (installed / "pipelines" / "serve" / "page" / "index.html").is_file()
