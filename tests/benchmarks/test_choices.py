"""Paired short trainings: every variant is valid, differs as it says, and stands beside its own base."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmarks import choices
from pipelines.core.config import parse_section
from pipelines.core.layout import Layout
from pipelines.data.photos import write_photos
from pipelines.recipes import make_recipe
from pipelines.training.config import TrainConfig


@pytest.fixture(scope="module")
def recipe() -> TrainConfig:
    options = yaml.safe_load(make_recipe("noise-level", "cpu-hours"))
    return parse_section(options["train"], "train", TrainConfig)


@pytest.mark.parametrize("variant", [name for name in choices.VARIANTS if name != choices.BASE])
def test_a_variant_is_valid_and_sees_as_many_pixels(recipe: TrainConfig, variant: str) -> None:
    ours, base = (choices.make_config(recipe, name, 1, 900) for name in (variant, choices.BASE))
    assert ours.identity() != base.identity()
    seen, expected = (c.steps * c.batch_size * c.patch_px**2 for c in (ours, base))
    assert seen == pytest.approx(expected, rel=0.01)
    assert ours.seed == base.seed == 1


def test_runs_are_kept_one_by_one_and_not_made_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(0)
    photos = [(f"{i}.png", random.integers(0, 256, (40, 48, 3), dtype=np.uint8)) for i in range(2)]
    layout = Layout(tmp_path)
    for part in ("train", "validation"):
        write_photos(layout.prepare / part, photos)
    options = yaml.safe_load(make_recipe("noise-level", "cpu-hours"))
    options["train"]["network"]["config"] = {"width": 4, "blocks": 1}
    options["train"] |= {"batch_size": 4, "patch_px": 16}
    options["train"]["sampling"]["group"] = 2
    layout.params.write_text(yaml.safe_dump(options))
    arguments = [str(tmp_path), "--out", str(tmp_path / "out"), "--steps", "2", "--seeds", "2"]
    arguments += ["--only", choices.BASE, "learning rate doubled"]
    choices.main(arguments)
    page = next((tmp_path / "out").glob("*.md")).read_text()
    assert "| learning rate doubled | 2 | " in page
    assert capsys.readouterr().out.count("cpu_seconds") == 4
    monkeypatch.setattr(choices, "run_training_loop", None)
    choices.main(arguments)
    assert next((tmp_path / "out").glob("*.md")).read_text() == page


def test_gains_are_paired_by_seed() -> None:
    def run(variant: str, seed: int, db: float) -> dict[str, object]:
        return {"variant": variant, "seed": seed, "steps": 9, "cpu_seconds": 2.0, "psnr": [db, db, db]}

    runs = [run("base", 0, 30.0), run("float32", 0, 30.5), run("base", 1, 31.0), run("float32", 1, 31.25)]
    page = choices.write_page({"machine": {}, "versions": {}, "settings": {}, "runs": runs})
    assert "30.50/30.50/30.50 dB" in page
    assert "| float32 | 2 | +0.38/+0.38/+0.38 | +0.25, +0.50 | 1.00x |" in page
