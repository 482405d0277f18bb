"""The tables of a model card."""

from typing import Any

from pipelines.publish.results import make_tables

SUMMARY: dict[str, Any] = {
    "photographs": 4,
    "levels": {"noise_sigma": 25.0},
    "psnr_input": 20.541,
    "ssim_input": 0.41234,
    "lpips_input": 0.5,
    "lpips_trunk": "alex",
    "default": {"at": {"noise": 25.0}, "psnr_clean": 30.98, "ssim_clean": 0.9, "lpips": 0.12},
    "vertices": {
        "none": {"psnr_own": 50.0, "psnr_clean": 20.0},
        "noise": {"psnr_own": None, "psnr_clean": 27.5},
    },
    "sliders": {"range_db": {"noise": 8.25}},
    "monotonicity": {"violations": 1, "noise": {"violations": 1, "pairs": 40}},
    "matched": {
        "positions": [
            {"control": "noise", "value": 5.0, "psnr_input": 34.2, "psnr_matched": 40.1, "best_value": 10.0}
        ]
    },
}


def test_every_table_has_its_numbers() -> None:
    quality, sliders, vertices, matched = make_tables(SUMMARY)
    assert quality["title"] == "To the clean photographs: 4 photographs, noise sigma 25"
    assert quality["columns"] == ["", "PSNR, dB", "SSIM", "LPIPS"]
    assert quality["rows"] == [
        ["input", "20.54", "0.4123", "0.5"],
        ["output, sliders at their defaults", "30.98", "0.9", "0.12"],
    ]
    assert sliders["rows"] == [["noise", "8.25", "1 of 40"]]
    assert vertices["rows"] == [["none", "50", "20"]]
    assert matched["rows"] == [["noise 5", "34.2", "40.1", "10"]]


def test_distances_of_a_random_trunk_are_left_out() -> None:
    quality = make_tables(SUMMARY | {"lpips_trunk": "alex (seeded random trunk: not comparable)"})[0]
    assert quality["columns"] == ["", "PSNR, dB", "SSIM"]
    assert [len(row) for row in quality["rows"]] == [3, 3]


def test_tables_without_numbers_are_left_out() -> None:
    assert make_tables({"photographs": 4}) == []
