import pytest
import torch
from evaluation import photograph_of, photographs_of
from torch import Tensor

from pipelines.data.photos import PhotoSet
from pipelines.evaluate.summary import condition_table
from pipelines.features.lpips import LPIPS
from pipelines.measure.settings import Setting
from pipelines.measure.sliders import (
    ConditionScore,
    all_settings,
    list_conditions,
    measure_sliders,
    score_condition,
)
from pipelines.measure.trained import TrainedRunner
from pipelines.tasks import DenoiseDeblur
from small_tasks import Fading, Tinting
from tunable_models import ControlSpace, ImageContract, TunableNetwork


class Lighter:
    """Undoes what the light slider says, truly or with a slip."""

    space = Fading.space

    def __init__(self, slip: float = 0.0) -> None:
        self.slip = slip

    def __call__(self, inputs: Tensor, setting: Setting) -> Tensor:
        return inputs / (1 - max(0.0, setting[0] + self.slip) / 2)


def rows(photos: PhotoSet, slip: float) -> list[dict[str, float]]:
    task = Fading()
    photographs, scores = photographs_of(task, photos), {}
    for condition in list_conditions(task, 5):
        examples = [photographs.degrade(number, condition.levels) for number in range(2)]
        scores[condition] = [score_condition(Lighter(slip), example, condition) for example in examples]
    return condition_table(task.space, scores)


@pytest.mark.slow
def test_every_setting_of_grid_and_sweeps_once(
    network: TunableNetwork, task: DenoiseDeblur, photos: PhotoSet, lpips: LPIPS
) -> None:
    runner = TrainedRunner(network, ImageContract())
    measured = measure_sliders(runner, photographs_of(task, photos), lpips, grid=3, steps=5)
    assert len(measured.inputs) == 2
    assert list(measured.outputs) == all_settings(task.space, 3, 5)
    assert all(len(group) == 2 for group in measured.outputs.values())
    assert measured.conditions == {}


def test_settings_are_those_of_grid_and_sweeps() -> None:
    settings = all_settings(ControlSpace.box("denoise", "deblur"), 3, 5)
    assert len(settings) == len(set(settings)) == 9 + 16 - 8  # the grid, the four sides, less what they share


def test_condition_controls_are_measured_where_they_tell_the_truth(
    photos: PhotoSet, lpips: LPIPS, capsys: pytest.CaptureFixture[str]
) -> None:
    def identity(inputs: Tensor, setting: Setting) -> Tensor:
        return inputs

    measured = measure_sliders(identity, photographs_of(Fading(), photos), lpips, grid=3, steps=3)
    found = [(condition.truth, len(scores)) for condition, scores in measured.conditions.items()]
    assert found == [(0, 2), (1, 2), (2, 2)]
    assert (
        "evaluate  output 24/24  " in capsys.readouterr().out
    )  # 2 photographs, 3 settings, 3 x 3 conditions


def test_every_position_is_faced_as_the_task_says() -> None:
    conditions = list_conditions(Fading(), 5)
    assert [condition.levels["dim"] for condition in conditions] == [1, 0.875, 0.75, 0.625, 0.5]
    assert [condition.truth for condition in conditions] == [0, 1, 2, 3, 4]
    assert all(c.settings == ((0,), (0.25,), (0.5,), (0.75,), (1,)) for c in conditions)


def test_a_task_without_conditions_faces_nothing() -> None:
    assert list_conditions(Tinting(), 5) == []


def test_who_is_told_the_truth_and_heeds_it_is_best_there(photos: PhotoSet) -> None:
    found = rows(photos, slip=0.0)
    assert [row["value"] for row in found] == [0, 12.5, 25, 37.5, 50]
    assert all(row["best_value"] == row["value"] and row["loss_to_best_db"] == 0 for row in found)
    assert all(row["psnr_matched"] > 90 for row in found)
    assert found[0]["psnr_below"] is None
    assert found[-1]["psnr_above"] is None
    assert found[2]["psnr_input"] < found[2]["psnr_below"] < found[2]["psnr_matched"]


def test_who_takes_the_slider_for_more_is_best_below(photos: PhotoSet) -> None:
    found = rows(photos, slip=0.25)
    assert [row["best_value"] for row in found] == [0, 0, 12.5, 25, 37.5]
    assert found[2]["loss_to_best_db"] > 10


def test_means_are_over_photographs() -> None:
    condition = list_conditions(Fading(), 2)[0]
    scores = [ConditionScore(10.0, (20.0, 30.0)), ConditionScore(12.0, (24.0, 20.0))]
    [row] = condition_table(Fading.space, {condition: scores})
    assert row["psnr_input"] == 11
    assert (row["psnr_matched"], row["psnr_above"], row["best_value"]) == (22, 25, 50)
    assert row["loss_to_best_db"] == pytest.approx(3)


def test_the_input_counts_as_it_is_shown(photos: PhotoSet) -> None:
    example, condition = photograph_of(Fading(), photos).raw, list_conditions(Fading(), 2)[0]
    found = score_condition(lambda inputs, _: torch.full_like(inputs, 7.0), example, condition)
    white = -10 * torch.log10((1 - example.targets["clean"]).square().mean()).item()
    assert found.psnr == pytest.approx((white, white), abs=1e-4)


def test_what_a_condition_is_trained_on_is_what_it_is_matched_with() -> None:
    task, clean, omega = Fading(), torch.rand(2, 3, 4, 4), torch.tensor([[0.2], [0.8]])
    trained = task.sample(clean, omega, [(0,), (1,)]).inputs
    for one, picture, inputs in zip(omega, clean, trained, strict=True):
        levels = {**task.levels, **(task.matched(one) or {})}
        torch.testing.assert_close(task.degrade(picture[None], levels, (0,)).inputs[0], inputs)
