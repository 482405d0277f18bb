import pytest
import torch

from pipelines.measure.shown import enlarged, shown
from pipelines.tasks import Example


def test_every_picture_is_shown_within_its_range() -> None:
    beyond = torch.tensor([-0.5, 0.25, 1.5]).view(1, 3, 1, 1)
    example = shown(Example(beyond, {"clean": beyond + 0.1}))
    assert example.inputs.flatten().tolist() == [0, 0.25, 1]
    assert example.targets["clean"].flatten().tolist() == [0, pytest.approx(0.35), 1]


def test_inputs_are_enlarged_to_the_output() -> None:
    example = Example(torch.full((1, 3, 4, 5), 0.25), {"clean": torch.rand(1, 3, 16, 20)})
    assert torch.equal(enlarged(example.inputs, example.inputs), example.inputs)
    torch.testing.assert_close(
        enlarged(example.inputs, example.targets["clean"]), torch.full((1, 3, 16, 20), 0.25)
    )
