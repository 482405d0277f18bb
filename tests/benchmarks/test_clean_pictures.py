import json
import statistics
from pathlib import Path

import pytest

import zoo
from benchmarks.clean_pictures import main, make_settings
from benchmarks.denoisers import read_photos
from tunable_models import Control, ControlSpace, psnr


def test_settings_are_in_native_units() -> None:
    space = ControlSpace.box(Control(name="noise", low=5, high=50, default=25), "deblur")
    assert make_settings(space) == {
        "all at 0": {"noise": 5, "deblur": 0},
        "defaults": {"noise": 25, "deblur": 1},
        "all up": {"noise": 50, "deblur": 1},
    }


def test_an_entry_is_measured_on_clean_pictures(tiny_entry: Path, photos: Path, tmp_path: Path) -> None:
    main([str(tiny_entry), "--photos", f"two={photos}", "--threads", "1", "--out", str(tmp_path)])
    [rows] = json.loads((tmp_path / "clean.json").read_text())["entries"].values()
    model = zoo.load(tiny_entry)
    for row in rows:
        scores = [psnr(model(photo, row["values"]), photo).item() for photo in read_photos(photos)]
        assert row["psnr"]["two"]["mean"] == pytest.approx(statistics.mean(scores), abs=0.01)
        assert row["psnr"]["two"]["least"] == pytest.approx(min(scores), abs=0.01)
    assert "defaults: noise 25" in (tmp_path / "clean.md").read_text()
