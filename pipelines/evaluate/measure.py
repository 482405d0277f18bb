"""Running the network at every setting on every test photograph."""

from dataclasses import dataclass, field

from pipelines.core.progress import Display
from pipelines.data.photos import PhotoSet
from pipelines.evaluate.config import EvaluateConfig
from pipelines.evaluate.degraded import degrade
from pipelines.evaluate.levels import levels_of
from pipelines.evaluate.matched import MatchedScores, faced, match
from pipelines.evaluate.scores import Judge, Score, Scores
from pipelines.evaluate.subject import Subject
from pipelines.features.lpips import LPIPS
from pipelines.measure.settings import Setting, default_setting, grid, sweeps
from pipelines.measure.shown import enlarged
from pipelines.tasks import Task
from tunable_models import ControlSpace
from tunable_models.metrics import NIQE


@dataclass(frozen=True)
class Measured:
    """All that was measured.

    Attributes:
        inputs: scores of the degraded inputs, one a photograph.
        scores: of the outputs at every setting.
        matched: of condition controls, at the strengths their positions stand for.
    """

    inputs: list[Score]
    scores: Scores
    matched: MatchedScores = field(default_factory=dict)


def measure(
    subject: Subject,
    task: Task,
    photos: PhotoSet,
    config: EvaluateConfig,
    lpips: LPIPS,
    niqe: NIQE | None = None,
) -> Measured:
    """Scores of inputs and outputs.

    Args:
        subject: the network.
        task: degrades the photographs and says what each setting asks for.
        photos: whole in memory one at a time.
        config: how to degrade, and which settings.
        lpips: the perceptual metric.
        niqe: the metric without a reference, if wanted.

    Raises:
        ConfigError: a level that the task does not have.
        DataError: a photograph is too small to be measured, or too flat for NIQE.
    """
    settings, faces = settings_of(task.space, config), faced(task, config.grid)
    levels = levels_of(task, config.levels)
    inputs: list[Score] = []
    scores: dict[Setting, list[Score]] = {setting: [] for setting in settings}
    matched: MatchedScores = {face: [] for face in faces}
    total = len(photos) * (len(settings) + sum(len(face.settings) for face in faces))
    with Display("evaluate", total=total, unit="output", rated="outputs") as display:
        for index in range(len(photos)):
            example = degrade(photos, index, task, config, levels)
            judge = Judge(task, example, lpips, niqe)
            inputs.append(judge.compare(enlarged(example.inputs, judge.clean)))
            for setting in settings:
                scores[setting].append(judge.score(subject(example.inputs, setting), setting))
                display.advance()
            for face in faces:
                at = degrade(photos, index, task, config, {**levels, **face.levels})
                matched[face].append(match(subject, at, face, display.advance))
    return Measured(inputs, scores, matched)


def settings_of(space: ControlSpace, config: EvaluateConfig) -> list[Setting]:
    """The grid, the sweeps and the default, each setting once."""
    along = [setting for sweep in sweeps(space, config.steps) for setting in sweep.settings]
    return list(dict.fromkeys([*grid(space, config.grid), *along, default_setting(space)]))
