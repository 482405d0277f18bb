import pytest
import torch
from torch import Tensor

from pipelines.data.photos import PhotoSet
from pipelines.evaluate.config import EvaluateConfig
from pipelines.evaluate.degraded import degrade
from pipelines.evaluate.matched import Match, faced, match, table
from pipelines.measure.settings import Setting
from small_tasks import Fading, Tinting


class Lighter:
    """Undoes what the light slider says, truly or with a slip."""

    space = Fading.space

    def __init__(self, slip: float = 0.0) -> None:
        self.slip = slip

    def __call__(self, inputs: Tensor, setting: Setting) -> Tensor:
        return inputs / (1 - max(0.0, setting[0] + self.slip) / 2)


def rows(photos: PhotoSet, config: EvaluateConfig, slip: float) -> list[dict[str, float]]:
    task = Fading()
    matched = {}
    for face in faced(task, 5):
        levels = {**task.levels, **face.levels}
        examples = [degrade(photos, index, task, config, levels) for index in range(2)]
        matched[face] = [match(Lighter(slip), example, face) for example in examples]  # type: ignore[arg-type]
    return table(task.space, matched)


def test_every_position_is_faced_as_the_task_says() -> None:
    faces = faced(Fading(), 5)
    assert [face.levels["dim"] for face in faces] == [1, 0.875, 0.75, 0.625, 0.5]
    assert [face.truth for face in faces] == [0, 1, 2, 3, 4]
    assert all(face.settings == ((0,), (0.25,), (0.5,), (0.75,), (1,)) for face in faces)


def test_a_task_without_conditions_faces_nothing() -> None:
    assert faced(Tinting(), 5) == []


def test_who_is_told_the_truth_and_heeds_it_is_best_there(photos: PhotoSet, config: EvaluateConfig) -> None:
    found = rows(photos, config, slip=0.0)
    assert [row["value"] for row in found] == [0, 12.5, 25, 37.5, 50]
    assert all(row["best_value"] == row["value"] and row["loss_to_best_db"] == 0 for row in found)
    assert all(row["psnr_matched"] > 90 for row in found)
    assert found[0]["psnr_below"] is None
    assert found[-1]["psnr_above"] is None
    assert found[2]["psnr_input"] < found[2]["psnr_below"] < found[2]["psnr_matched"]


def test_who_takes_the_slider_for_more_is_best_below(photos: PhotoSet, config: EvaluateConfig) -> None:
    found = rows(photos, config, slip=0.25)
    assert [row["best_value"] for row in found] == [0, 0, 12.5, 25, 37.5]
    assert found[2]["loss_to_best_db"] > 10


def test_means_are_over_photographs() -> None:
    face = faced(Fading(), 2)[0]
    [row] = table(Fading.space, {face: [Match(10.0, (20.0, 30.0)), Match(12.0, (24.0, 20.0))]})
    assert row["psnr_input"] == 11
    assert (row["psnr_matched"], row["psnr_above"], row["best_value"]) == (22, 25, 50)
    assert row["loss_to_best_db"] == pytest.approx(3)


def test_the_input_counts_as_it_is_shown(photos: PhotoSet, config: EvaluateConfig) -> None:
    example = degrade(photos, 0, Fading(), config)
    face = faced(Fading(), 2)[0]
    found = match(lambda inputs, _: torch.full_like(inputs, 7.0), example, face)  # type: ignore[arg-type]
    white = -10 * torch.log10((1 - example.targets["clean"]).square().mean()).item()
    assert found.psnr == pytest.approx((white, white), abs=1e-4)


def test_what_a_condition_is_trained_on_is_what_it_is_matched_with() -> None:
    task, clean, omega = Fading(), torch.rand(2, 3, 4, 4), torch.tensor([[0.2], [0.8]])
    trained = task.sample(clean, omega, [(0,), (1,)]).inputs
    for one, picture, inputs in zip(omega, clean, trained, strict=True):
        levels = {**task.levels, **(task.matched(one) or {})}
        torch.testing.assert_close(task.degrade(picture[None], levels, (0,)).inputs[0], inputs)
