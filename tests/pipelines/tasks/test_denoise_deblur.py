import pytest
import torch

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError
from pipelines.tasks import DenoiseDeblur, DenoiseDeblurConfig, Example, make_task

CLEAN = torch.rand(3, 3, 12, 12)


def degraded(task: DenoiseDeblur) -> Example:
    return task.degrade(CLEAN, {"noise_sigma": 25.0, "blur_sigma": 1.5}, (0,))


def test_corners_are_what_their_names_say(task: DenoiseDeblur) -> None:
    targets = degraded(task).targets
    torch.testing.assert_close(
        targets["input"] - targets["denoised"], targets["deblurred"] - CLEAN
    )  # the same noise
    assert (targets["denoised"] - CLEAN).abs().mean() > 0  # still blurred
    assert task.targets == ("input", "denoised", "deblurred", "clean")
    assert task.space.vertices[1] == (1, 0)
    assert task.space.names == ("denoise", "deblur")


def test_samples_depend_on_their_own_key_alone() -> None:
    task = make_task(DenoiseDeblurConfig(noise_sigma=(0.0, 50.0), blur_sigma=(0.0, 3.0)))
    omega = torch.rand(3, 2)
    whole = task.sample(CLEAN, omega, [(0, 7, i) for i in range(3)])
    # The widest kernel of a batch sets the padding of all, which changes rounding only.
    for i in range(3):
        one = task.sample(CLEAN[i : i + 1], omega[i : i + 1], [(0, 7, i)])
        torch.testing.assert_close(one.inputs[0], whole.inputs[i])
    again = task.sample(CLEAN, omega, [(0, 8, i) for i in range(3)])
    assert not torch.equal(again.inputs, whole.inputs)


def test_levels_stay_in_their_range() -> None:
    task = make_task(DenoiseDeblurConfig(noise_sigma=(10.0, 20.0), blur_sigma=(0.0, 0.0)))
    clean = torch.full((40, 3, 16, 16), 0.5)
    inputs = task.sample(clean, torch.rand(40, 2), [(i,) for i in range(40)]).inputs
    sigma = (inputs - clean).std((1, 2, 3)) * 255
    assert sigma.min() > 8
    assert sigma.max() < 22
    assert sigma.std() > 1
    assert task.levels == {"noise_sigma": 15.0, "blur_sigma": 0.0}


@pytest.mark.parametrize(
    "values",
    [{"noise_sigma": [5, 1]}, {"blur_sigma": [-1, 1]}, {"noise_sigma": [0, 999]}, {"distance": "psnr"}],
)
def test_impossible_options_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        parse_section(values, "task", DenoiseDeblurConfig)
