"""Size and naming of the source tree, beside those of another checkout.

    git worktree add ../before v0.1.0
    python -m benchmarks.tree ../before .

Counted: Python files of ``pipelines``, ``tunable_models`` and ``zoo``, module-level functions whose name is
one word, Python files that the stages of DVC name one by one, and modules that import each other in a circle.
"""

import argparse
import ast
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from benchmarks.kept import keep

OUT = Path(__file__).parent / "results" / "tree"
PACKAGES = ("pipelines", "tunable_models", "zoo")
SHORT_LINES = 60
STAGE_FILES = ("dvc.yaml", "pipelines/search/stage.yaml")

ROWS = {
    "files": "Python files",
    "lines": "lines",
    "median": "median lines of a file",
    "short": f"files under {SHORT_LINES} lines, %",
    "short_modules": f"files under {SHORT_LINES} lines among those that are no `__init__.py`, %",
    "one_word": "module-level functions with a one-word name, %",
    "stage_deps": "Python files named in dvc.yaml",
    "circles": "import circles",
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tree")
    parser.add_argument("roots", nargs="+", type=Path, metavar="ROOT", help="checkouts of this repository")
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args(arguments)
    report = {str(root.resolve().name): measure_tree(root) for root in options.roots}
    keep(report, options.out, "tree", write_page(report))


def measure_tree(root: Path) -> dict[str, Any]:
    """All figures of a checkout; the ones of files by package too."""
    packages = {name: sorted((root / name).rglob("*.py")) for name in PACKAGES}
    everything = [path for paths in packages.values() for path in paths]
    return {
        **measure_files(everything),
        "packages": {name: measure_files(paths) for name, paths in packages.items()},
        "stage_deps": count_stage_deps(root),
        "circles": count_import_circles(root, everything),
    }


def measure_files(paths: Sequence[Path]) -> dict[str, float]:
    """Files, lines, median, and the shares in percent of short files and of one-word functions."""
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in paths}
    lines = list(sizes.values())
    modules = [count for path, count in sizes.items() if path.name != "__init__.py"]
    names = [name for path in paths for name in find_functions(path)]
    return {
        "files": len(paths),
        "lines": sum(lines),
        "median": statistics.median(lines),
        "short": _percent_short(lines),
        "short_modules": _percent_short(modules),
        "one_word": round(100 * sum("_" not in name.strip("_") for name in names) / max(1, len(names))),
    }


def _percent_short(lines: Sequence[int]) -> int:
    return round(100 * sum(count < SHORT_LINES for count in lines) / max(1, len(lines)))


def find_functions(path: Path) -> list[str]:
    """Names of a file's module-level functions."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return [node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def count_stage_deps(root: Path) -> int:
    """Python files that the stages depend on by name; one counts in each stage that names it."""
    stages = [yaml.safe_load((root / name).read_text(encoding="utf-8"))["stages"] for name in STAGE_FILES]
    deps = [dep for file in stages for stage in file.values() for dep in stage["deps"]]
    return sum(dep.endswith(".py") for dep in deps)


def count_import_circles(root: Path, paths: Sequence[Path]) -> int:
    """Sets of modules whose top-level imports form a circle; imports inside functions do not count."""
    numbers = {_module_name(path.relative_to(root)): number for number, path in enumerate(paths)}
    edges = [
        (numbers[name], numbers[target])
        for name, number in numbers.items()
        for target in _find_imports(paths[number], numbers)
        if target != name
    ]
    if not edges:
        return 0
    start, end = zip(*edges, strict=True)
    graph = coo_array(([1] * len(edges), (start, end)), shape=(len(paths), len(paths)))
    _, labels = connected_components(graph, connection="strong")
    sizes = [list(labels).count(label) for label in set(labels)]
    return sum(size > 1 for size in sizes)


def _module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _find_imports(path: Path, known: dict[str, int]) -> Iterator[str]:
    """Modules of the tree that a file imports at its top level; a package where names come from it."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name for name in inner if name in known)
            if any(name not in known for name in inner):
                yield node.module


def write_page(report: dict[str, Any]) -> str:
    """The report as a table, a column for each checkout."""
    head = ["", *report]
    rows = [[title, *(f"{tree[key]:g}" for tree in report.values())] for key, title in ROWS.items()]
    for package in PACKAGES:
        found = [tree["packages"][package] for tree in report.values()]
        rows.append([f"`{package}`: files, lines", *(f"{one['files']}, {one['lines']}" for one in found)])
    table = ["| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *rows]]
    return "\n".join(["# The source tree", "", *table, ""])


if __name__ == "__main__":
    main()
