from pathlib import Path

import pytest

from pipelines.core.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A work tree without photographs."""
    return Layout(tmp_path / "repository")
