"""What makes two runs the same run: their options, their data and the code that trains."""

import ast
import hashlib
import json
from functools import cache
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
    "pipelines/running/local.py",
    "pipelines/running/worker.py",
    "pipelines/tasks",
    "pipelines/training",
)
"""Files and folders whose code can change a run's numbers."""


def fingerprint(options: dict[str, Any], photos_sha256: str, code: str | None = None) -> str:
    """Hexadecimal SHA-256 of a run; a checkpoint resumes only its own.

    Args:
        options: of the run, as JSON values.
        photos_sha256: of the training photographs.
        code: digest of the training code; that of this installation by default.
    """
    parts = {"options": options, "data": photos_sha256, "code": code or code_digest()}
    return _sha256(json.dumps(parts, sort_keys=True))


def code_digest(root: Path = REPOSITORY, items: tuple[str, ...] = TRAINING_CODE) -> str:
    """SHA-256 of all training code, or of other files and folders."""
    return _sha256(json.dumps(code_digests(root, items), sort_keys=True))


def code_digests(root: Path = REPOSITORY, items: tuple[str, ...] = TRAINING_CODE) -> dict[str, str]:
    """SHA-256 of the syntax tree of each file; comments, docstrings and layout do not count.

    A process reads a file once, as it runs the code that it started with. Trees differ between minor versions
    of Python.

    Raises:
        FileNotFoundError: a file of the code is missing.
    """
    return {path.relative_to(root).as_posix(): _tree_sha256(path) for path in _sources(root, items)}


@cache
def _tree_sha256(path: Path) -> str:
    tree = _StringsDropped().visit(ast.parse(path.read_text(encoding="utf-8")))
    return _sha256(ast.dump(tree))


class _StringsDropped(ast.NodeTransformer):
    """Drops statements that are a string alone, which is what docstrings are; nothing computes with them."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        docstring = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if docstring else node


def _sources(root: Path, items: tuple[str, ...]) -> list[Path]:
    paths = [root / item for item in items]
    for path in paths:
        path.stat()
    return sorted(file for path in paths for file in ([path] if path.is_file() else path.rglob("*.py")))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
