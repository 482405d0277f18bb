from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipelines.tracking.registry import CANDIDATE, CHAMPION, promote_version, register_version
from pipelines.tracking.run_folder import Plan
from pipelines.tracking.server import RefusedError, Server, TrackingError, Value

pytestmark = pytest.mark.slow


def plan(version: str, description: str = "", model: str = "sr.x4") -> Plan:
    return Plan(name="publish", model=model, model_version=version, description=description)


def test_a_publication_is_the_candidate_with_its_description_and_numbers(
    root: Path, client: MlflowClient
) -> None:
    server = Server(root)
    run_id = server.claim("k", "first", {})
    values = {"train/loss": 0.5, "test/default.psnr_clean": 30.0, "test/gain_db.over_input": 5.0}
    server.values(run_id, [Value(name, value, 1, 7) for name, value in values.items()])
    given = [plan("aaaa", "Two sliders."), plan("bbbb"), plan("aaaa", "Better said.")]
    assert [register_version(server, run_id, each) for each in given] == ["1", "2", "1"]
    version = client.get_model_version_by_alias("sr.x4", CANDIDATE)
    assert (str(version.version), version.description) == ("1", "Better said.")
    assert client.get_model_version("sr.x4", "2").source.endswith("/artifacts/entry/bbbb")
    assert version.tags == {
        "zoo_version": "aaaa",
        "test/default.psnr_clean": "30",
        "test/gain_db.over_input": "5",
    }
    run = client.get_run(run_id)
    (model,) = client.search_logged_models([run.info.experiment_id], "tags.zoo_version = 'aaaa'")
    assert {metric.key: metric.value for metric in model.metrics} == {
        "test/default.psnr_clean": 30.0,
        "test/gain_db.over_input": 5.0,
    }
    assert (model.source_run_id, model.status.value) == (run_id, "READY")
    assert [output.model_id for output in run.outputs.model_outputs].count(model.model_id) == 1
    assert register_version(server, server.claim("k2", "second", {}), plan("aaaa")) == "3"


def test_a_promotion_makes_the_registered_entry_the_champion(root: Path, client: MlflowClient) -> None:
    server = Server(root)
    run_id = server.claim("k", "first", {})
    for version in ("aaaa", "bbbb"):
        register_version(server, run_id, plan(version))
    for version, promoted_as in (("bbbb", "1.0.0"), ("aaaa", "1.1.0"), ("aaaa", "1.1.0")):
        assert "champion" in promote_version(root, "sr.x4", version, promoted_as)
        champion = client.get_model_version_by_alias("sr.x4", CHAMPION)
        assert (champion.tags["zoo_version"], champion.tags["promoted_as"]) == (version, promoted_as)
    assert client.get_model_version_by_alias("sr.x4", CANDIDATE).tags["zoo_version"] == "bbbb"
    with pytest.raises(RefusedError, match="cccc"):
        promote_version(root, "sr.x4", "cccc", "1.0.0")


def test_a_promotion_makes_no_database_and_reports_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(RefusedError, match="tunable track"):
        promote_version(tmp_path, "model", "aaaa", "1.0.0")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mlflow.db").write_text("damaged")
    with pytest.raises(TrackingError, match=r"mlflow\.db"):
        promote_version(tmp_path, "model", "aaaa", "1.0.0")
