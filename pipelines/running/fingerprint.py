"""What determines a run's numbers: its options, its data, the code that trains and the installed packages."""

import ast
import hashlib
import json
import platform
from collections.abc import Mapping
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

PACKAGES = ("torch", "numpy", "albumentations")
"""Packages whose version can change a run's numbers; a run continues under others, and records that."""


def compute_fingerprint(options: dict[str, Any], photos_sha256: str, code: str | None = None) -> str:
    """Hexadecimal SHA-256 that identifies a run; a checkpoint resumes only its own.

    Args:
        options: of the run, as JSON values.
        photos_sha256: of the training photographs.
        code: digest of the training code; that of this installation by default.
    """
    parts = {"options": options, "data": photos_sha256, "code": code or code_digest()}
    return _sha256(json.dumps(parts, sort_keys=True))


def code_digest(root: Path = REPOSITORY, items: tuple[str, ...] = TRAINING_CODE) -> str:
    """SHA-256 of all training code, or of other files and folders."""
    return digest_code(code_digests(root, items))


def digest_code(digests: Mapping[str, str]) -> str:
    """One SHA-256 for the digests of files."""
    return _sha256(json.dumps(dict(digests), sort_keys=True))


def code_digests(root: Path = REPOSITORY, items: tuple[str, ...] = TRAINING_CODE) -> dict[str, str]:
    """SHA-256 of the syntax tree of each file; comments, docstrings and layout do not count.

    A process reads each file once, since it runs the code that it started with. Syntax trees differ between
    minor versions of Python.

    Raises:
        FileNotFoundError: a file of the code is missing.
    """
    return {path.relative_to(root).as_posix(): _tree_sha256(path) for path in _list_sources(root, items)}


@cache
def _tree_sha256(path: Path) -> str:
    tree = _DocstringRemover().visit(ast.parse(path.read_text(encoding="utf-8")))
    return _sha256(ast.dump(tree))


class _DocstringRemover(ast.NodeTransformer):
    """Removes statements that are only a string, which have no effect."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        is_string = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_string else node


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
