import ast
from pathlib import Path

import numpy as np

from pipelines.data.transforms import Seeded, albumentations

PACKAGE = Path(__file__).parents[3] / "pipelines"
PICTURE = np.arange(30 * 40 * 3, dtype=np.int64).astype(np.uint8).reshape(30, 40, 3)


def test_draws_depend_on_the_seed_alone() -> None:
    chain = Seeded([albumentations().RandomCrop(8, 8)])
    first = chain(PICTURE, seed=5)
    chain(PICTURE, seed=6)
    assert np.array_equal(chain(PICTURE, seed=5), first)
    assert not np.array_equal(chain(PICTURE, seed=6), first)


def test_no_other_module_imports_the_library() -> None:
    importing = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Import) and any(alias.name == "albumentations" for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "albumentations")
    }
    assert importing == {"data/transforms.py"}
