"""A whole run of the loads on an endpoint at a size of seconds."""

import json
from typing import Any

import pytest

from benchmarks import serve_load
from published import EDSR, publish_small
from tunable_models import ControlSpace

SMALL = ["--large", "48", "40", "--medium", "40", "32", "--small-requests", "5", "--large-requests", "5"]
TRIALS = ["mixed", "large", "slow uploads", "rows"]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("load")
    with pytest.MonkeyPatch.context() as patch:
        publish_small(folder / "store", ControlSpace.box("denoise"), EDSR)
        patch.setenv("TUNABLE_ZOO_STORE", str(folder / "store"))
        patch.setenv("TUNABLE_ZOO_ENGINE", "torch")
        patch.setattr(serve_load, "SLOW_S", 1.0)
        options = ["--servers", "local", "--trials", *TRIALS, *SMALL, "--slow-clients", "5"]
        serve_load.main([*options, "--entry", "tiny", "--out", str(folder)])
    found: dict[str, Any] = json.loads((folder / "load.json").read_text())
    assert "## tunable serve --local" in (folder / "load.md").read_text()
    return found


@pytest.mark.server
@pytest.mark.slow
def test_every_trial_is_run_and_measured(report: dict[str, Any]) -> None:
    trials = report["servers"]["local"]
    assert list(trials) == TRIALS
    assert trials["mixed"] == {"load_before": trials["mixed"]["load_before"], "clients": 64, "differing": 0}
    assert trials["large"]["idle_mb"] > 50
    assert trials["slow uploads"]["pictures"] > 0
    assert trials["rows"]["small_requests"] == trials["rows"]["large_requests"] == 5
    assert trials["rows"]["small_end_over_first_fifth"] > 0.5
