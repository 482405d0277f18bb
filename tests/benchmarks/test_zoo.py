"""What the benchmark of the zoo times, and how many bytes it says are hashed."""

import json
import os
from pathlib import Path

import pytest

import zoo as zoo_package
from benchmarks import zoo
from benchmarks.zoo import COUNTED, TIMED, Call
from published import EDSR, publish_small
from tunable_models import ControlSpace


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> zoo_package.Entry:
    return publish_small(tmp_path_factory.mktemp("store"), ControlSpace.box("denoise"), EDSR)


@pytest.mark.server
@pytest.mark.slow
def test_a_load_hashes_every_byte_each_time(entry: zoo_package.Entry) -> None:
    call = Call("load", "tiny", "zoo.load", "import zoo", f"zoo.load({str(entry.folder)!r}, engine='torch')")
    nbytes = sum(record.size for record in entry.manifest.files)
    assert int(zoo.run_child(COUNTED, call, os.environ)) >= nbytes
    imported, first, second = json.loads(zoo.run_child(TIMED, call, os.environ))
    assert min(imported, first, second) > 0
    with pytest.raises(RuntimeError, match="no entry"):
        zoo.run_child(TIMED, Call("load", "none", "zoo.load", "import zoo", "zoo.load('none')"), os.environ)


def test_files_lie_where_the_hub_s_client_looks(tmp_path: Path) -> None:
    zoo.cache_files(tmp_path, "tiny", {"a.txt": b"one"})
    [found] = (tmp_path / "hub").rglob(f"snapshots/{zoo.REVISION}/a.txt")
    assert found.is_symlink()
    assert found.read_bytes() == b"one"


def test_a_page_has_every_call() -> None:
    turns = [[1.0, 0.5, 0.1], [3.0, 0.7, 0.3], [2.0, 0.6, 0.2]]
    made = zoo.summarize(turns)
    assert made["import"] == {"median": 2.0, "least": 1.0, "most": 3.0}
    assert made["import_and_first"]["median"] == 2.6
    row = {"subject": "tiny", "bytes_hashed": 10, **made}
    report = {
        "machine": {"processor": "some CPU", "cores": 2},
        "versions": {"torch": "2"},
        "settings": {"repeats": 3},
        "sizes": {"tiny": {"files": 3_000_000, "weights": 2_000_000, "weights of timm": 2_000_000}},
        "rows": [
            {"operation": "import", "call": "torch", **row},
            {"operation": "load", "call": "zoo.load", **row},
        ],
    }
    page = zoo.write_page(report)
    assert "| tiny | 3.000 | 2.000 | 2.000 |" in page
    assert "| tiny | `zoo.load` | 2000 (1000 to 3000) |" in page
