"""A whole run of the benchmark of servers at a size of seconds, without those that start slowly."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import serve
from published import EDSR, publish_small
from tunable_models import ControlSpace

SERVERS = ["in process", "tunable serve --local", "FastAPI and uvicorn"]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("serve")
    with pytest.MonkeyPatch.context() as patch:
        publish_small(folder / "store", ControlSpace.box("denoise"), EDSR)
        patch.setenv("TUNABLE_ZOO_STORE", str(folder / "store"))
        patch.setenv("TUNABLE_ZOO_ENGINE", "torch")
        patch.setattr(serve, "version", lambda name: "1")  # LitServe is not among our packages
        options = [
            "--servers",
            "local",
            "fastapi",
            "--clients",
            "1",
            "3",
            "--seconds",
            "0.2",
            "--rounds",
            "2",
        ]
        serve.main([*options, "--entry", "tiny", "--side-px", "40", "--out", str(folder)])
    found: dict[str, Any] = json.loads((folder / "cpu.json").read_text())
    assert "| 3 | tunable serve --local |" in (folder / "cpu.md").read_text()
    return found


@pytest.mark.server
@pytest.mark.slow
def test_every_server_answers_alike_and_is_measured(report: dict[str, Any]) -> None:
    assert report["differing"] == []
    assert [row["server"] for row in report["rows"]] == SERVERS * 2
    for row in report["rows"]:
        assert row["pictures_per_s"] > 0
        assert 0 < row["wait_p50_ms"] <= row["wait_p95_ms"]
        assert row["cpu_s_per_picture"] > 0 or row["server"] == SERVERS[0]
    assert all(row["ratio"] == 1 for row in report["rows"] if row["server"] == SERVERS[2])
    assert min(report["memory_bytes"].values()) > 10**8


def test_a_fault_of_a_client_is_raised() -> None:
    def fail() -> bytes:
        raise OSError("refused")

    with pytest.raises(OSError, match="refused"):
        serve.ask_together([fail], 60.0)


def test_waits_and_ratios_are_medians(tmp_path: Path) -> None:
    def row(server: str, rate: float, waits: list[float]) -> dict[str, Any]:
        rest = {"cpu_s_per_picture": 0.1, "load_before": 0.0}
        return {"server": server, "clients": 1, "pictures_per_s": rate, "wait_ms": waits, **rest}

    rows = [row(serve.FASTAPI, rate, [1.0]) for rate in (2.0, 4.0, 5.0)]
    rows += [row("ours", rate, waits) for rate, waits in ((1.0, [3.0]), (4.0, [1.0, 2.0]), (6.0, [9.0]))]
    theirs, ours = serve.summarize(rows)
    assert theirs["ratio"] == 1
    assert (ours["pictures_per_s"], ours["ratio"]) == (4.0, 1.0)
    assert (ours["wait_p50_ms"], ours["wait_p95_ms"]) == (2.5, 3.0)
