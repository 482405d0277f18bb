import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from benchmarks import data

PARAMS = {
    "train": {
        "network": {"config": {"width": 4, "blocks": 1}},
        "compute": {"runner": "local"},
        "batch_size": 4,
        "patch_px": 8,
    }
}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run at a size of seconds."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "params.yaml").write_text(yaml.safe_dump(PARAMS))
    (folder / "photos").mkdir()
    for seed in range(2):
        pixels = np.random.default_rng(seed).integers(0, 256, (130, 140, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{seed}.png")
    options = {"photos": "photos", "params": "params.yaml", "out": "out"}
    paths = [text for name, path in options.items() for text in (f"--{name}", str(folder / path))]
    data.main([*paths, "--rounds", "3", "--workers", "0", "--threads", "1"])
    return folder / "out"


@pytest.fixture(scope="module")
def report(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "cpu.json").read_text())
    return found


def test_every_variant_has_its_speed(report: dict[str, Any]) -> None:
    assert [row["name"] for row in report["rows"]] == [
        "the network takes",
        "ours, patches, in the process",
        "ours, degraded, in the process",
        "torchvision, PNG, in the process",
        "torchvision, JPEG, in the process",
    ]
    for row in report["rows"]:
        assert 0 < row["q1"] <= row["images_per_s"] <= row["q3"]
        assert row["rounds"] == 3
    assert report["rows"][0]["ratio"] == 1


def test_the_report_says_what_was_measured(report: dict[str, Any], out: Path) -> None:
    assert report["settings"]["photographs"] == 2
    assert report["settings"]["mean_pixels"] == 130 * 140
    assert {"torch", "torchvision", "albumentations"} <= set(report["versions"])
    text = (out / "cpu.md").read_text()
    assert f"{report['machine']['cores']} cores" in text
    assert str(out.parent) not in text + (out / "cpu.json").read_text()


def test_speeds_are_of_images() -> None:
    times = {data.NETWORK: [1000.0, 2000.0, 500.0], f"{data.OURS}, patches": [100.0, 100.0, 400.0]}
    network, ours = data.rows(times, batch_size=10)
    assert (network.images_per_s, network.ratio, network.rounds) == (40.0, 1.0, 3)
    assert (ours.images_per_s, ours.q1, ours.q3) == (3200.0, 2000.0, 3200.0)
    assert ours.ratio == 80.0


@pytest.mark.parametrize(
    ("ratio", "verdict"),
    [
        (5.0, "At least 5 x the network: ours, patches; ours, degraded."),
        (4.9, "At least 5 x the network: ours, patches. Less: ours, degraded."),
    ],
)
def test_what_misses_the_ratio_is_named(report: dict[str, Any], ratio: float, verdict: str) -> None:
    ratios = {"the network takes": 1.0, "ours, patches": 9.0, "ours, degraded": ratio, "torchvision": 0.1}
    speeds = {"images_per_s": 1.0, "q1": 1.0, "q3": 1.0, "rounds": 3}
    made = [{"name": name, "ratio": own, **speeds} for name, own in ratios.items()]
    assert data.markdown(report | {"rows": made}).splitlines()[-1] == verdict
