"""What determines a run's numbers: its options, its data, the code that trains and the installed packages."""

import ast
import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]

TRAINING_CODE = (
    "tunable_models",
    "pipelines/core/config.py",
    "pipelines/core/random_streams.py",
    "pipelines/data/index.py",
    "pipelines/data/order.py",
    "pipelines/data/photos.py",
    "pipelines/data/style_images.py",
    "pipelines/data/transforms.py",
    "pipelines/features/pretrained.py",
    "pipelines/features/vgg.py",
    "pipelines/measure/photographs.py",
    "pipelines/measure/runner.py",
    "pipelines/measure/settings.py",
    "pipelines/running/job.py",
    "pipelines/running/local.py",
    "pipelines/tasks",
    "pipelines/training",
)
"""Files and folders whose code can change a run's numbers."""

REGISTRIES = ("pipelines/tasks", "tunable_models/architectures", "tunable_models/rivals")
"""Folders among them of which a run uses a module or two: another task's code is none of its business."""

PACKAGES = ("torch", "numpy", "albumentations")
"""Packages whose version can change a run's numbers; a run continues under others, and records that."""


def compute_fingerprint(options: dict[str, Any], photos_sha256: str, code: Mapping[str, str]) -> str:
    """Hexadecimal SHA-256 that identifies a run; a checkpoint resumes only its own.

    Args:
        options: of the run, as JSON values.
        photos_sha256: of the training photographs.
        code: of the run, as :func:`code_digests` gives it.
    """
    parts = {"options": options, "data": photos_sha256, "code": dict(code)}
    return _sha256(json.dumps(parts, sort_keys=True))


def code_digest(
    root: Path = REPOSITORY, items: tuple[str, ...] = TRAINING_CODE, used: Iterable[str] | None = None
) -> str:
    """SHA-256 of all that :func:`code_digests` lists."""
    return digest_code(code_digests(root, items, used))


def digest_code(digests: Mapping[str, str]) -> str:
    """One SHA-256 for the digests of files."""
    return _sha256(json.dumps(dict(digests), sort_keys=True))


def code_digests(
    root: Path = REPOSITORY, items: tuple[str, ...] = TRAINING_CODE, used: Iterable[str] | None = None
) -> dict[str, str]:
    """SHA-256 of the syntax tree of each file; comments, docstrings and layout do not count.

    A process reads each file once, since it runs the code that it started with.

    Args:
        root: of the repository.
        items: files and folders, relative to it.
        used: names of the modules of :data:`REGISTRIES` that a run uses; these folders then count with
            those modules and what they import from there, and not as a whole.

    Raises:
        FileNotFoundError: a file of the code is missing.
    """
    paths = set(_list_sources(root, items))
    if used is not None:
        registered = {path for path in paths if path.relative_to(root).as_posix().startswith(REGISTRIES)}
        paths = paths - registered | (registered & _follow_imports(root, used))
    return {path.relative_to(root).as_posix(): _tree_sha256(path) for path in sorted(paths)}


def _follow_imports(root: Path, modules: Iterable[str]) -> set[Path]:
    """Files of these modules and of those that they import from the same folder."""
    found: set[Path] = set()
    queue = list(modules)
    while queue:
        module = queue.pop()
        path = root.joinpath(*module.split(".")).with_suffix(".py")
        if path in found or not path.is_file():
            continue
        found.add(path)
        package = module.rpartition(".")[0]
        for node in ast.walk(_read_tree(path)):
            if isinstance(node, ast.ImportFrom) and node.module:
                inside = node.module == package or node.module.startswith(f"{package}.")
                queue += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)] * inside
    return found


@cache
def _tree_sha256(path: Path) -> str:
    return _sha256(repr(_dump_tree(_Simplifier().visit(_read_tree(path)))))


def _read_tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _dump_tree(node: object) -> object:
    """A syntax tree as tuples, the same in all versions of Python: what one leaves empty, another has not."""
    if isinstance(node, list):
        return tuple(map(_dump_tree, node))
    if not isinstance(node, ast.AST):
        return node
    fields = [(name, _dump_tree(value)) for name, value in ast.iter_fields(node) if value not in (None, [])]
    return type(node).__name__, *fields


class _Simplifier(ast.NodeTransformer):
    """Removes what has no effect: statements that are only a string, and empty pieces of f-strings."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_string = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_string else self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        self.generic_visit(node)
        # Python 3.12.1 has an empty piece behind the last field of a format.
        node.values = [v for v in node.values if not (isinstance(v, ast.Constant) and v.value == "")]
        return node


def _list_sources(root: Path, items: tuple[str, ...]) -> list[Path]:
    paths = [root / item for item in items]
    for path in paths:
        path.stat()
    return sorted(file for path in paths for file in ([path] if path.is_file() else path.rglob("*.py")))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def installed_versions() -> dict[str, str]:
    """Versions of Python (major and minor) and of :data:`PACKAGES` in this process."""
    major, minor, _ = platform.python_version_tuple()
    return {"Python": f"{major}.{minor}", **{name: version(name) for name in PACKAGES}}


def changed_versions(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Versions that both know and that differ: name to ``{"was": ..., "is": ...}``."""
    known = sorted(before.keys() & now.keys())
    return {name: {"was": before[name], "is": now[name]} for name in known if before[name] != now[name]}


def describe_versions(changed: Mapping[str, Mapping[str, str]]) -> str:
    """The result of :func:`changed_versions` as text."""
    return "; ".join(f"{name} {version['is']} (was {version['was']})" for name, version in changed.items())
