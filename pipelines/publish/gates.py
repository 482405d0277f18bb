"""Gates of publication: what ``publish.require`` asks of the numbers that ``evaluate`` measured."""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from pipelines.core.config import Section
from pipelines.core.errors import DataError


class RequireConfig(Section):
    """What the measured network must reach to be published; null asks for nothing."""

    sliders_alive: bool = False
    """Whether every slider must raise its own metric from end to end, by ``evaluate.least_range_db`` at
    least."""
    falling_share: float | None = Field(default=None, ge=0, le=1)
    """Largest share of a slider's steps on which its own metric falls by more than
    ``evaluate.tolerance_db``, such as 0.01."""
    drop_db: float | None = Field(default=None, ge=0)
    """Largest fall of a slider's own metric on a single step, in dB."""
    gain_db: float | None = None
    """Least gain of the output at the defaults over the input, in dB of PSNR to the clean photograph."""
    psnr_db: float | None = None
    """Least PSNR of the output at the defaults to the clean photograph, in dB."""
    ssim: float | None = Field(default=None, ge=-1, le=1)
    """Least SSIM of the output at the defaults to the clean photograph."""
    lpips: float | None = Field(default=None, ge=0)
    """Largest LPIPS of the output at the defaults to the clean photograph; with published weights alone."""
    identity_db: float | None = None
    """Least PSNR of the output to the input where every slider asks for the input, in dB."""
    matched_loss_db: float | None = Field(default=None, ge=0)
    """Most PSNR that a slider at the true level of the degradation loses to its best value, in dB."""


def check_gates(require: RequireConfig, metrics: Mapping[str, Any]) -> None:
    """Check the numbers of a network against the gates.

    Args:
        require: the gates.
        metrics: what ``evaluate`` wrote to ``summary.json``.

    Raises:
        DataError: it misses some, each named with its slider, value and limit; or a number was not measured.
    """
    missed = [*_check_sliders(require, metrics), *_check_numbers(require, metrics)]
    if missed:
        raise DataError(
            f"expected {'; '.join(missed)}; nothing was published: train longer or otherwise, or change "
            "publish.require"
        )


def _check_sliders(require: RequireConfig, metrics: Mapping[str, Any]) -> Iterator[str]:
    if require.sliders_alive:
        sliders = _read_number(metrics, "sliders_alive", "sliders")
        for label in sliders["dead"]:
            yield (
                f"slider {_name_slider(label)} to raise its own metric by {sliders['least_range_db']:g} dB "
                f"or more, got {sliders['range_db'][label]:.4g} dB (sliders_alive)"
            )
    limits = (
        ("falling_share", require.falling_share, "fraction", "steps on which its own metric falls", ""),
        ("drop_db", require.drop_db, "worst_drop_db", "fall of its own metric on a step", " dB"),
    )
    for gate, limit, key, what, unit in limits:
        if limit is None:
            continue
        counts = _read_number(metrics, gate, "monotonicity")
        for label, count in counts.items():
            if isinstance(count, Mapping) and count[key] > limit:
                yield (
                    f"slider {_name_slider(label)} to have {limit:g}{unit} or less of {what}, got "
                    f"{count[key]:.4g}{unit} ({gate})"
                )


def _check_numbers(require: RequireConfig, metrics: Mapping[str, Any]) -> Iterator[str]:
    default = "at the defaults"
    gates = (
        ("gain_db", ("gain_db", "over_input"), f"a gain over the input {default}", " dB", True),
        ("psnr_db", ("default", "psnr_clean"), f"a PSNR {default}", " dB", True),
        ("ssim", ("default", "ssim_clean"), f"an SSIM {default}", "", True),
        ("lpips", ("default", "lpips"), f"an LPIPS {default}", "", False),
        ("identity_db", ("vertices", "none", "psnr_own"), "a PSNR to the input, sliders off,", " dB", True),
        ("matched_loss_db", ("matched", "worst_loss_to_best_db"), "a loss at the true level", " dB", False),
    )
    for gate, path, what, unit, is_least in gates:
        limit = getattr(require, gate)
        if limit is None:
            continue
        value = _read_number(metrics, gate, *path)
        if value < limit if is_least else value > limit:
            bound = "or more" if is_least else "or less"
            yield f"{what} of {limit:g}{unit} {bound}, got {value:.4g}{unit} ({gate})"


def _read_number(metrics: Mapping[str, Any], gate: str, *path: str) -> Any:
    """What stands below a path of keys.

    Raises:
        DataError: it is not there, or not comparable.
    """
    if gate == "lpips" and "random" in str(metrics.get("lpips_trunk", "random")):
        raise DataError(
            "publish.require.lpips: expected LPIPS with published weights, got that of a random trunk; name "
            "evaluate.lpips_weights, or leave it out"
        )
    value: Any = metrics
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    # At a corner without a target of its own, "off" is not "as the input".
    is_foreign = gate == "identity_db" and "nearest_to_own" not in metrics.get("vertices", {}).get("none", {})
    if value is None or is_foreign:
        raise DataError(
            f"publish.require.{gate}: expected {'.'.join(path)} in summary.json, found none; this task "
            f"({metrics.get('task', 'unknown')}) is not measured in that way: leave it out"
        )
    return value


def _name_slider(label: str) -> str:
    """Such as ``'denoise' (others low)``, of a label in ``summary.json``."""
    for others in ("low", "high"):
        if label.endswith(f"_others_{others}"):
            return f"'{label.removesuffix(f'_others_{others}')}' (others {others})"
    return f"'{label}'"
