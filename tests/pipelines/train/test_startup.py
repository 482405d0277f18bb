from pathlib import Path

from pipelines.train.startup import Startup, read_startup


def test_parts_are_left_in_order(tmp_path: Path) -> None:
    assert read_startup(tmp_path) == {}
    there = Startup(**Startup.now().mark("cluster").plain())
    there.mark("workers").mark("network").write(tmp_path)
    parts = read_startup(tmp_path)
    assert list(parts) == ["cluster", "workers", "network"]
    assert all(0 <= seconds < 5 for seconds in parts.values())
