import subprocess
import sys

import pytest

import zoo


def test_public_names_are_sorted_and_real() -> None:
    assert zoo.__all__ == sorted(zoo.__all__)
    assert all(hasattr(zoo, name) for name in zoo.__all__)


def imported(code: str) -> set[str]:
    """The modules that a process has after that code."""
    command = [sys.executable, "-c", f"import sys; {code}; print(*sys.modules)"]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


@pytest.mark.server
def test_importing_brings_neither_cluster_nor_tracker() -> None:
    unwanted = {"ray", "mlflow", "dvc", "albumentations", "lpips", "pipelines"}
    assert not unwanted & imported("import zoo")


@pytest.mark.server
def test_loading_brings_no_compiler_whose_import_takes_longer_than_all_else() -> None:
    assert "torch._dynamo" not in imported("import zoo; zoo.load('denoise-deblur')")
