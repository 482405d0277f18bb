from typing import Any

import pytest

from pipelines.core.errors import DataError
from pipelines.publish.gates import RequireConfig, check_gates


def measured(**changes: Any) -> dict[str, Any]:
    """Numbers that pass every gate of this file."""
    none = {"psnr_own": 50.0, "nearest_to_own": True}
    count = {"fraction": 0.0, "worst_drop_db": 0.004, "pairs": 30, "violations": 0}
    metrics: dict[str, Any] = {
        "task": "denoise-deblur",
        "default": {"psnr_clean": 30.0, "ssim_clean": 0.9, "lpips": 0.1},
        "gain_db": {"over_input": 5.0},
        "lpips_trunk": "alex",
        "matched": {"worst_loss_to_best_db": 0.02},
        "monotonicity": {**count, "passes": True, "denoise_others_low": count, "deblur_others_low": count},
        "sliders": {
            "alive": True,
            "dead": [],
            "least_range_db": 0.1,
            "range_db": {"denoise_others_low": 2.0, "deblur_others_low": 3.0},
        },
        "vertices": {"none": none},
    }
    return metrics | changes


ALL = RequireConfig(
    sliders_alive=True,
    falling_share=0.01,
    drop_db=0.01,
    gain_db=4,
    psnr_db=29,
    ssim=0.8,
    lpips=0.2,
    identity_db=45,
    matched_loss_db=0.05,
)


def test_what_reaches_the_limits_passes_and_without_limits_nothing_is_read() -> None:
    check_gates(ALL, measured())
    check_gates(RequireConfig(gain_db=5.0, lpips=0.1), measured())
    check_gates(RequireConfig(), {})


@pytest.mark.parametrize(
    ("require", "changes", "value", "limit"),
    [
        ({"gain_db": 5.5}, {}, "5 dB", "5.5 dB"),
        ({"psnr_db": 31}, {}, "30 dB", "31 dB"),
        ({"ssim": 0.95}, {}, "0.9", "0.95"),
        ({"lpips": 0.05}, {}, "0.1", "0.05"),
        ({"identity_db": 60}, {}, "50 dB", "60 dB"),
        ({"matched_loss_db": 0.01}, {}, "0.02 dB", "0.01 dB"),
    ],
)
def test_what_misses_a_limit_is_refused_with_value_and_limit(
    require: dict[str, Any], changes: dict[str, Any], value: str, limit: str
) -> None:
    with pytest.raises(DataError) as refused:
        check_gates(RequireConfig(**require), measured(**changes))
    (gate,) = require
    assert all(text in str(refused.value) for text in (f"got {value} ", f"of {limit} ", f"({gate})"))


def test_a_slider_that_is_dead_or_falls_is_named() -> None:
    sliders = measured()["sliders"] | {"dead": ["deblur_others_low"]}
    sliders["range_db"] = {"denoise_others_low": 2.0, "deblur_others_low": 0.03}
    counts = measured()["monotonicity"]
    counts["denoise_others_low"] = counts["denoise_others_low"] | {"fraction": 0.1, "worst_drop_db": 0.5}
    with pytest.raises(DataError) as refused:
        check_gates(ALL, measured(sliders=sliders, monotonicity=counts))
    dead, share, drop = str(refused.value).split("; ")[:3]
    assert all(text in dead for text in ("'deblur' (others low)", "0.1 dB", "0.03 dB", "sliders_alive"))
    assert all(text in share for text in ("'denoise' (others low)", "0.01", "0.1 (falling_share)"))
    assert all(text in drop for text in ("'denoise' (others low)", "0.01 dB", "0.5 dB (drop_db)"))


@pytest.mark.parametrize("gate", sorted(set(RequireConfig.model_fields) - {"lpips"}))
def test_a_number_that_was_not_measured_is_no_pass(gate: str) -> None:
    require = RequireConfig(**{gate: True if gate == "sliders_alive" else 0.5})
    with pytest.raises(DataError, match=rf"require\.{gate}.*noise-level"):
        check_gates(require, {"task": "noise-level"})


def test_a_setting_that_does_not_ask_for_the_input_has_no_identity() -> None:
    with pytest.raises(DataError, match="identity_db"):
        check_gates(RequireConfig(identity_db=20), measured(vertices={"none": {"psnr_own": 22.0}}))


def test_lpips_of_a_random_trunk_has_no_limit() -> None:
    with pytest.raises(DataError, match="lpips_weights"):
        check_gates(RequireConfig(lpips=1), measured(lpips_trunk="alex (seeded random trunk)"))
