import subprocess
import sys

import zoo


def test_public_names_are_sorted_and_real() -> None:
    assert zoo.__all__ == sorted(zoo.__all__)
    assert all(hasattr(zoo, name) for name in zoo.__all__)


def test_importing_brings_neither_cluster_nor_tracker() -> None:
    code = "import sys, zoo; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"ray", "mlflow", "dvc", "albumentations", "lpips", "pipelines"} & set(loaded.split())
