import numpy as np
import pytest
import torch
from PIL import Image

from pipelines.core.errors import DataError
from pipelines.tasks import SuperResolution, SuperResolutionConfig
from pipelines.tasks.degradations import bicubic_downsample
from pipelines.tasks.trunks import TrunkConfig
from tiny_tasks import tiny_task
from tunable_models import psnr, ssim

CLEAN = torch.rand(2, 3, 26, 27, generator=torch.Generator().manual_seed(0))
HALF = torch.full((2, 2), 0.5)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_downsampling_is_pillows(factor: int) -> None:
    pixels = (torch.rand(1, 3, 24, 36) * 255).round()
    planes = [
        np.asarray(
            Image.fromarray(plane.numpy()).resize((36 // factor, 24 // factor), Image.Resampling.BICUBIC)
        )
        for plane in pixels[0]
    ]
    np.testing.assert_allclose(bicubic_downsample(pixels, factor)[0].numpy(), np.stack(planes), atol=1e-3)


def test_inputs_are_small_files_of_what_is_kept() -> None:
    task = SuperResolution(SuperResolutionConfig(scale=4))
    example = task.degrade(CLEAN, {}, ())
    assert torch.equal(example.targets["clean"], CLEAN[..., :24, :24])
    assert example.inputs.shape == (2, 3, 6, 6)
    eight_bits = example.inputs * 255
    torch.testing.assert_close(eight_bits, eight_bits.round().clamp(0, 255))


def test_accuracy_is_l1_and_perception_is_not() -> None:
    task = tiny_task("super-resolution")
    example = task.degrade(CLEAN, {}, ())
    output = example.targets["clean"] + 0.1
    accuracy = task.loss(output, example, torch.tensor([[1.0, 0.0]] * 2))
    assert accuracy.tolist() == pytest.approx([0.1, 0.1])
    assert not torch.allclose(task.loss(output, example, torch.tensor([[0.0, 1.0]] * 2)), accuracy)


def test_without_weight_there_is_no_critic_and_with_it_the_loss_plays_against_one() -> None:
    alone = tiny_task("super-resolution")
    assert alone.critic is None
    task = tiny_task("super-resolution", adversarial_scale=0.5, critic={"width": 4, "depth": 1})
    assert task.critic is not None
    example = task.degrade(CLEAN, {}, ())
    output = example.targets["clean"].clone().requires_grad_()
    loss = task.loss(output, example, HALF)
    assert (loss > alone.loss(output, example, HALF)).all()
    loss.sum().backward()
    assert not [p for p in task.critic.parameters() if p.grad is not None]
    again = tiny_task("super-resolution", adversarial_scale=0.5, critic={"width": 4, "depth": 1}).critic
    assert again is not None
    for one, other in zip(task.critic.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_luma_is_measured_as_the_literature_does() -> None:
    task = tiny_task("super-resolution")
    example = task.degrade(CLEAN, {}, ())
    clean = example.targets["clean"]
    noisy = clean + 0.5 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    inner = [picture[..., 2:-2, 2:-2] for picture in (noisy.clamp(0, 1), clean)]
    weights = torch.tensor([65.481, 128.553, 24.966]) / 255  # of ITU-R BT.601, studio range
    luma = [(picture * weights[:, None, None]).sum(1, keepdim=True) + 16 / 255 for picture in inner]
    measures = task.measures(noisy, example)
    torch.testing.assert_close(measures["psnr_y"], psnr(*luma))
    torch.testing.assert_close(measures["ssim_y"], ssim(*luma), rtol=0, atol=1e-5)
    assert task.measures(clean, example)["psnr_y"].tolist() == [100, 100]
    small = task.degrade(CLEAN[..., :14, :], {}, ())
    with pytest.raises(DataError, match="15 px at least"):
        task.measures(small.targets["clean"], small)


def test_missing_weights_are_told() -> None:
    trunk = TrunkConfig(layers=("relu1_1",), weights="nowhere.pth")
    task = SuperResolution(SuperResolutionConfig(trunk=trunk))
    with pytest.raises(DataError, match=r"nowhere\.pth"):
        task.to(torch.device("cpu"))
