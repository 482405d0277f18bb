from pipelines.evaluate.own_curves import own_curves
from pipelines.evaluate.scores import Score
from pipelines.measure.settings import sweeps
from tunable_models import ControlSpace


def test_own_curves_are_of_the_sweeps_own_slider() -> None:
    space = ControlSpace.box("denoise", "deblur")

    def score(photo: int, setting: tuple[float, ...]) -> Score:
        progress = tuple(100 * photo + 10 * control + sum(setting) for control in range(2))
        return Score(numbers={}, progress=progress)

    paths = sweeps(space, 2)
    scores = {s: [score(0, s), score(1, s)] for path in paths for s in path.settings}
    assert own_curves(scores, paths[0]) == [[1, 2], [101, 102]]
    assert own_curves(scores, paths[1]) == [[0, 1], [100, 101]]
    assert own_curves(scores, paths[3]) == [[10, 11], [110, 111]]
