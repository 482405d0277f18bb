"""The zoo's own models: the stages of models/dvc.yaml and the options of each entry."""

import hashlib
from pathlib import Path

import pytest
import yaml

from pipelines.core.config import load_section, parse_section
from pipelines.core.layout import Layout
from pipelines.doctor.options import read_options
from pipelines.recipes import make_recipe
from pipelines.training.config import TrainConfig

MODELS = Path(__file__).parents[1] / "models"
STAGES = yaml.safe_load((MODELS / "dvc.yaml").read_text())["stages"]
ENTRIES = STAGES["train"]["foreach"]
SECOND_COURSE = ("sampling", "optimizer", "validation", "steps", "batch_size", "patch_px")
OPTIONS = sorted(path.parent.name for path in MODELS.glob("*/params.yaml"))


def test_every_stage_makes_every_entry() -> None:
    assert all(stage["foreach"] == ENTRIES for stage in STAGES.values())
    assert {"denoise", "photo"} <= set(ENTRIES) <= set(OPTIONS)


def test_a_clone_has_all_that_the_stages_made() -> None:
    """So that `dvc status`, `pull` and `checkout` have nothing to say about them."""
    lock = yaml.safe_load((MODELS / "dvc.lock").read_text())["stages"]
    assert set(lock) == {f"{stage}@{entry}" for stage in STAGES for entry in ENTRIES}
    for stage in lock.values():
        for out in stage.get("outs", []):
            digest = hashlib.md5((MODELS / out["path"]).read_bytes(), usedforsecurity=False).hexdigest()
            assert digest == out["md5"], out["path"]


@pytest.mark.parametrize("entry", OPTIONS)
def test_the_options_of_an_entry_are_sound(entry: str) -> None:
    options, findings = read_options(Layout.at(MODELS / entry))
    assert [finding for finding in findings if finding.level != "ok"] == []
    assert options.train is not None
    assert options.publish is not None
    assert options.publish.name == entry
    assert options.publish.intended_use
    assert options.publish.limitations
    for place in options.publish.files.values():
        assert (MODELS / entry / place).is_file()


@pytest.mark.parametrize("entry", OPTIONS)
def test_an_entry_is_trained_by_the_recipe(entry: str) -> None:
    """Written twice, for photographs of two places."""
    trained = load_section(MODELS / entry / "params.yaml", "train", TrainConfig)
    recipe = yaml.safe_load(make_recipe(trained.task.name, "cpu-hours"))["train"]
    if trained.network.start is not None:  # a second course, of other lengths and patches
        recipe["network"]["start"] = trained.network.start
        for name in SECOND_COURSE:
            recipe[name] = getattr(trained, name)
    assert trained == parse_section(recipe, "train", TrainConfig)
