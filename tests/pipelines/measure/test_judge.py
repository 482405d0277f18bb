"""Networks whose every output is known: they recognise their input and answer with mixed pictures."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from pipelines.core.errors import ConfigError, DataError, TrainingError
from pipelines.measure.judge import Judge, Score
from pipelines.measure.objectives import MEASURES, MeasureConfig, available_measures
from pipelines.measure.photographs import Batches, Photographs
from pipelines.measure.settings import grid_settings
from pipelines.measure.specialists import Specialist
from pipelines.tasks import Example, Task
from small_tasks import Fading, Tinting
from tiny_tasks import NAMES, tiny_task
from tunable_models import TunableNetwork, build, make_tunable

CONFIG = MeasureConfig(batch=2, steps=3)
PHOTOS = 3


class Recall(nn.Module):
    """Answers input n with the pictures (K, N, 3, H, W) of n, mixed."""

    def __init__(self, inputs: Tensor, pictures: Tensor) -> None:
        super().__init__()
        self.inputs, self.pictures = inputs, pictures
        self.mix = nn.Parameter(torch.zeros(len(pictures)))

    def forward(self, x: Tensor) -> Tensor:
        known = torch.cdist(x.flatten(1), self.inputs.flatten(1)).argmin(1)
        return torch.einsum("k,kbchw->bchw", self.mix, self.pictures[:, known])


@pytest.fixture
def task() -> Task:
    return tiny_task("denoise-deblur")


def batches_of(task: Task, side: int = 24) -> Batches:
    clean = torch.rand(PHOTOS, 3, side * task.scale, side * task.scale, generator=torch.manual_seed(0))
    clean = nn.functional.avg_pool2d(clean, 3, stride=1, padding=1)
    return Batches(Photographs(task, torch.split(clean, 1), (0, "search")), range(PHOTOS), size=2)


def slider(task: Task, batches: Batches, answers: Tensor) -> TunableNetwork:
    """Mixes the targets of the vertices, and white; row k of ``answers`` (K, K or K + 1) is the one at k."""
    examples = [batch.raw for batch in batches.at_usual_levels()]
    pictures = [torch.cat([target_of(task, example, v) for example in examples]) for v in task.space.vertices]
    pictures = [*pictures, torch.ones_like(pictures[0])][: answers.shape[1]]
    recall = Recall(torch.cat([example.inputs for example in examples]), torch.stack(pictures))
    network = make_tunable(recall, task.space, "multilinear")
    deltas = answers[1:] - answers[0]
    if len(answers) == 4:
        deltas[2] -= deltas[0] + deltas[1]
    network.load_state_dict({"network.mix": answers[0], "network.mix_deltas": deltas})
    return network


def target_of(task: Task, example: Example, vertex: tuple[float, ...]) -> Tensor:
    picture = task.target(example, torch.tensor(vertex).expand(len(example.inputs), -1))
    assert picture is not None
    return picture


def edsr(task: Task, noise: float = 0.0) -> TunableNetwork:
    torch.manual_seed(0)
    network = make_tunable(build("edsr", width=2, blocks=1, scale=task.scale), task.space)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += noise * torch.randn_like(parameter)
    return network


def test_a_perfect_slider_beats_a_dead_one_and_noise_in_every_measure(task: Task) -> None:
    batches = batches_of(task)
    specialists = [Specialist((0.5, 0.5), 40.0), Specialist((1.0, 1.0), 30.0)]
    config = CONFIG.model_copy(update={"specialists": ("two",)})  # they were measured already
    judge = Judge(task, batches, config, specialists)
    dead = torch.tensor([0.0, 0.0, 0.0, 1.0]).expand(4, 4)
    perfect, still, wild = (
        judge(network)
        for network in (slider(task, batches, torch.eye(4)), slider(task, batches, dead), edsr(task, 1.0))
    )
    assert list(perfect.measures) == list(MEASURES) == list(available_measures(task, config))
    for name, mode in MEASURES.items():
        sign = 1 if mode == "max" else -1
        for worse in (still, wild):
            if (name, worse) != ("violations", still):  # who does not move never falls
                assert sign * perfect.measures[name] > sign * worse.measures[name], name
    assert still.measures["violations"] == still.measures["range_db"] == 0
    assert perfect.measures["psnr_own"] == pytest.approx(100, abs=0.5)
    assert perfect.measures["endpoint_loss"] == pytest.approx(0, abs=1e-2)
    assert perfect.measures["specialist_gap_worst"] == pytest.approx(40 - 100, abs=0.5)
    assert perfect.measures["specialist_gap_mean"] == pytest.approx(35 - 100, abs=0.5)


@pytest.mark.parametrize("vertex", range(4))
def test_the_front_grows_when_one_setting_improves(task: Task, vertex: int) -> None:
    batches = batches_of(task)
    judge, answers = Judge(task, batches, CONFIG.model_copy(update={"grid": 2})), torch.eye(4, 5)
    answers[vertex, 4] = 0.2  # grey on top, further from all targets
    worse, better = judge(slider(task, batches, answers)), judge(slider(task, batches, torch.eye(4)))
    assert 0 < worse.measures["hypervolume"] < better.measures["hypervolume"] < 1
    for one, other in zip(worse.settings, better.settings, strict=True):
        changed = one.omega == task.space.vertices[vertex]
        assert all((a > b) == changed for a, b in zip(one.objectives, other.objectives, strict=True))


@pytest.mark.parametrize("name", ["denoise-strength", "denoise-deblur"])
def test_ends_that_shrink_to_the_middle_cover_less(name: str) -> None:
    task = tiny_task(name)
    batches, count = batches_of(task), len(task.space.vertices)
    judge = Judge(task, batches, CONFIG)
    covered = [
        judge(slider(task, batches, (1 - part) * torch.eye(count) + part / count)).measures["hypervolume"]
        for part in (0, 0.1, 0.2, 0.5, 1)
    ]
    assert covered == sorted(covered, reverse=True)


def test_numbers_are_those_of_one_photograph_at_a_time(task: Task) -> None:
    batches, network = batches_of(task), edsr(task, 0.05)
    score = Judge(task, batches, CONFIG)(network)
    losses, extremes, settings = [], torch.zeros(4), grid_settings(task.space, 3)
    with torch.no_grad():
        for batch in batches.at_usual_levels():
            for row in range(len(batch.raw.inputs)):
                one = type(batch.raw)(
                    batch.raw.inputs[row : row + 1],
                    {name: target[row : row + 1] for name, target in batch.raw.targets.items()},
                )
                pictures = one.targets.values()
                vertices = [torch.tensor([vertex]) for vertex in task.space.vertices]
                table = torch.tensor([[task.loss(p, one, v).item() for v in vertices] for p in pictures])
                extremes = extremes + table / PHOTOS
                losses.append(
                    [task.loss(network(one.inputs, omega=o), one, o).item() for o in omegas(settings)]
                )
    assert score.measures["grid_loss"] == pytest.approx(torch.tensor(losses).mean().item(), rel=1e-4)
    worst = 2 * extremes.amax(0)
    at_first = [losses[photo][0] for photo in range(PHOTOS)]
    assert score.settings[0].omega == (0, 0)
    assert score.settings[0].objectives[0] == pytest.approx(
        sum(at_first) / PHOTOS / worst[0].item(), rel=1e-4
    )


def omegas(settings: Sequence[tuple[float, ...]]) -> list[Tensor]:
    return [torch.tensor([setting]) for setting in settings]


def test_violations_are_counted_exactly() -> None:
    task = tiny_task("denoise-strength")
    batches, steps = batches_of(task), CONFIG.model_copy(update={"steps": 5})
    beyond = torch.tensor([[1.0, 0.0], [-1.0, 2.0]])  # up to the middle it nears the truth, then it leaves it
    score = Judge(task, batches, steps)(slider(task, batches, beyond))
    assert score.measures["violations"] == 0.5
    right = Judge(task, batches, steps)(slider(task, batches, torch.eye(2)))
    assert right.measures["violations"] == 0
    wrong = Judge(task, batches, steps)(slider(task, batches, torch.eye(2).flip(0)))
    assert wrong.measures["violations"] == 1
    assert wrong.measures["range_db"] == pytest.approx(-right.measures["range_db"], abs=1e-3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_every_task_is_scored(name: str) -> None:
    task = tiny_task(name)
    judge = Judge(task, batches_of(task), CONFIG)
    score = judge(edsr(task, 0.02))
    assert tuple(score.measures) == available_measures(task, CONFIG)
    conditional = name == "noise-level"
    assert ("hypervolume" in score.measures) != conditional
    assert len(score.settings) == (0 if conditional else len(grid_settings(task.space, CONFIG.grid)))
    for setting in score.settings:
        assert len(setting.objectives) == len(task.space.vertices)
        assert min(setting.objectives) >= 0
    assert Score.parse(score.plain()) == score
    assert judge(edsr(task, 0.02)) == score


def test_a_condition_comes_with_its_input() -> None:
    task = Fading()
    batches = batches_of(task)
    clean = torch.cat([batch.raw.targets["clean"] for batch in batches.at_usual_levels()])
    power = clean.square().mean().item()
    score = Judge(task, batches, CONFIG)(edsr(task))
    # An untrained EDSR of scale 1 gives its input back: 1, 3/4 and 1/2 of the clean picture.
    assert score.measures["grid_loss"] == pytest.approx(power * (0 + 1 / 16 + 1 / 4) / 3, rel=1e-4)
    assert score.measures["endpoint_loss"] == pytest.approx(1)
    assert score.measures["range_db"] == pytest.approx(0, abs=1e-4)


def test_without_a_target_picture_specialists_are_compared_by_loss() -> None:
    task = Tinting()
    batches = batches_of(task)
    config = CONFIG.model_copy(update={"specialists": ("one",)})
    bright = torch.cat([batch.raw.inputs for batch in batches.at_usual_levels()]).mean().item()
    judge = Judge(task, batches, config, [Specialist((1.0, 0.0, 0.0), 20.0)])
    gap = judge(edsr(task)).measures["specialist_gap_worst"]
    assert gap == pytest.approx(20 + 10 * torch.tensor(bright).log10().item(), abs=1e-4)


def test_divergence_is_reported(task: Task) -> None:
    network = edsr(task)
    with torch.no_grad():
        next(network.parameters()).fill_(torch.nan)
    with pytest.raises(TrainingError, match=r"hypervolume .*9 of 9 settings"):
        Judge(task, batches_of(task), CONFIG)(network)


def test_a_network_stays_in_training(task: Task) -> None:
    network = edsr(task).train()
    Judge(task, batches_of(task), CONFIG)(network)
    assert network.training


def test_a_network_of_other_sliders_is_refused(task: Task) -> None:
    with pytest.raises(DataError, match="expected a network of the sliders"):
        Judge(task, batches_of(task), CONFIG)(edsr(tiny_task("denoise-strength")))


def test_a_reference_is_taken_as_it_is_or_refused(task: Task) -> None:
    batches, network = batches_of(task), edsr(task, 0.02)
    own = Judge(task, batches, CONFIG.model_copy(update={"reference": (1.0, 2.0, 1.0, 1.0)}))(network)
    half = Judge(task, batches, CONFIG.model_copy(update={"reference": (1.0, 1.0, 1.0, 1.0)}))(network)
    for one, other in zip(own.settings, half.settings, strict=True):
        assert one.objectives[1] == pytest.approx(other.objectives[1] / 2)
    with pytest.raises(ConfigError, match=r"expected 4 numbers.*got \[1\.0\]"):
        Judge(task, batches, CONFIG.model_copy(update={"reference": (1.0,)}))


def test_a_reference_may_follow_specialists_in_inference_mode() -> None:
    """They make the first batches; a trunk that keeps its last maps cannot tell such tensors apart."""
    task = tiny_task("style-transfer")
    batches = batches_of(task)
    with torch.inference_mode():
        batches.at_usual_levels()
    assert Judge(task, batches, CONFIG)(edsr(task)).measures["hypervolume"] >= 0
