import hashlib
from pathlib import Path

import pytest
import torch

from pipelines.core.errors import DataError
from pipelines.features.pretrained import cached_file, read_published

TENSORS = {"features.0.weight": torch.rand(2, 3)}


@pytest.fixture(autouse=True)
def empty_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where the file net.pth would be published."""
    torch.save(TENSORS, tmp_path / "net.pth")
    digest = hashlib.sha256((tmp_path / "net.pth").read_bytes()).hexdigest()
    return f"https://example.org/models/some-net-{digest[:8]}.pth"


def test_reads_the_file_or_the_cache(url: str, tmp_path: Path, empty_hub: Path) -> None:
    file = tmp_path / "net.pth"
    assert read_published(url) is None
    for tensors in (read_published(url, file), _cached(url, file, empty_hub)):
        assert tensors is not None
        assert tensors.keys() == TENSORS.keys()
        assert torch.equal(tensors["features.0.weight"], TENSORS["features.0.weight"])


def _cached(url: str, file: Path, hub: Path) -> dict[str, torch.Tensor] | None:
    hub.mkdir(parents=True)
    file.rename(cached_file(url))
    assert cached_file(url).parent == hub
    return read_published(url)


def test_damaged_or_missing_files_are_an_error(url: str, tmp_path: Path, empty_hub: Path) -> None:
    file = tmp_path / "net.pth"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DataError, match=f"SHA-256.*download {url}"):
        read_published(url, file)
    with pytest.raises(DataError, match="no such file"):
        read_published(url, tmp_path / "other.pth")
    with pytest.raises(DataError, match="SHA-256"):
        _cached(url, file, empty_hub)
