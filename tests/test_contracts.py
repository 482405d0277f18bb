"""Promises about the repository as a whole: imports, stage dependencies, public names."""

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import tunable_models
import zoo
from pipelines.cli.stages import STAGES
from pipelines.running.fingerprint import TRAINING_CODE

ROOT = Path(__file__).parents[1]
PACKAGES = ("pipelines", "tunable_models", "zoo")


def test_imports_go_one_way() -> None:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.slow
def test_a_stage_depends_on_exactly_the_modules_it_uses(stage: str) -> None:
    module, options, _ = STAGES[stage]
    used = closure(module) | closure(options)
    deps = stages()[stage]["deps"]
    code = [dep for dep in deps if dep.startswith(PACKAGES)]
    missing = sorted(path for path in used if not covered(path, code))
    unused = sorted(dep for dep in code if not any(covered(path, [dep]) for path in used))
    assert (missing, unused) == ([], [])


def test_the_fingerprint_covers_all_code_the_loop_uses() -> None:
    # These decide where files lie and what an error says, not what is computed.
    aside = {f"pipelines/core/{name}.py" for name in ("errors", "layout", "machine", "records")}
    aside |= {f"pipelines/data/{name}.py" for name in ("cache", "config", "remote", "shards")}
    aside |= {"zoo/durable.py", "zoo/remote/fsspec_calls.py"}
    used = closure("pipelines.training.loop")
    assert sorted(path for path in used - aside if not covered(path, list(TRAINING_CODE))) == []


@pytest.mark.parametrize("package", [tunable_models, zoo])
def test_public_names_are_documented_and_there(package: object) -> None:
    names: list[str] = package.__all__  # type: ignore[attr-defined]
    assert len(set(names)) == len(names)
    for name in names:
        value = getattr(package, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, name


def test_nothing_forbidden_is_a_dependency() -> None:
    """albumentationsx, the AGPL successor, must not come in by an upgrade."""
    text = (ROOT / "constraints.txt").read_text().lower()
    assert "albumentationsx" not in text
    assert "://" not in text
    assert not [line for line in text.splitlines() if line.startswith("-")]


def stages() -> dict[str, Any]:
    """All stages of both files."""
    files = [ROOT / "dvc.yaml", ROOT / "pipelines/search/stage.yaml"]
    return {
        name: stage for file in files for name, stage in yaml.safe_load(file.read_text())["stages"].items()
    }


def covered(path: str, deps: list[str]) -> bool:
    return any(path == dep or path.startswith(f"{dep}/") for dep in deps)


def closure(module: str) -> set[str]:
    """Files that a module's imports reach, function-level ones included, as paths from the root.

    The ``__init__`` of a package counts where names are taken from it, not where a module inside is:
    it runs then too, and changes nothing that the stage computes.
    """
    found: set[str] = set()
    queue = [module]
    while queue:
        name = queue.pop()
        path = source(name)
        relative = path.relative_to(ROOT).as_posix()
        if relative in found:
            continue
        tree = ast.parse(path.read_text())
        if len(tree.body) > 1:
            found.add(relative)
        queue += [imported for imported in imports(tree) if imported.split(".")[0] in PACKAGES]
    return found


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if node.module.split(".")[0] in PACKAGES and exists(inner) else node.module


def exists(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def source(name: str) -> Path:
    path = ROOT.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
