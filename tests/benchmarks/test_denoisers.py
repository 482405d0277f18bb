import json
import math
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor

from benchmarks.denoisers import FFDNet, add_noise, by_ffdnet, by_session, main, score


def ffdnet_tensors() -> dict[str, Tensor]:
    """Three convolutions; the published network has twelve."""
    torch.manual_seed(0)
    sides = [(13, 4), (4, 4), (4, 12)]
    shapes = {f"c.{index}": side for index, side in enumerate(sides)}
    weights = {f"{name}.weight": torch.randn(out, into, 3, 3) / 6 for name, (into, out) in shapes.items()}
    return weights | {f"{name}.bias": torch.zeros(out) for name, (_, out) in shapes.items()}


def test_ffdnet_restores_pictures_of_odd_sides_and_knows_the_noise() -> None:
    network = FFDNet(ffdnet_tensors())
    picture = torch.rand(1, 3, 9, 7)
    weak, strong = (network(picture, sigma) for sigma in (5.0, 50.0))
    assert weak.shape == picture.shape
    assert not torch.allclose(weak, strong)


def test_noise_is_that_of_the_protocol() -> None:
    clean = torch.full((1, 3, 200, 200), 0.5)
    noise = add_noise(clean, 25.0) - clean
    assert noise.std().item() * 255 == pytest.approx(25, rel=0.01)
    assert noise[0, 2, 0, 0].item() * 255 == pytest.approx(25 * 0.97873798, rel=1e-4)  # third of seed 0
    assert torch.equal(add_noise(clean, 25.0), add_noise(clean, 25.0))


def test_scores_are_means_over_pictures() -> None:
    photos = [torch.rand(1, 3, 16, 16), torch.rand(1, 3, 12, 20)]
    level = iter([*photos, *photos, *photos])
    scores = score(lambda noisy, sigma: next(level) + sigma / 255, photos)
    assert [at["sigma"] for at in scores] == [15, 25, 50]
    for at in scores:
        assert at["psnr"] == pytest.approx(-20 * math.log10(at["sigma"] / 255), abs=1e-3)


@pytest.mark.slow
def test_ffdnet_is_the_same_in_both_runtimes() -> None:
    network, picture = FFDNet(ffdnet_tensors()), torch.rand(1, 3, 21, 18)
    torch.testing.assert_close(by_session(network)(picture, 15.0), by_ffdnet(network)(picture, 15.0))


@pytest.mark.slow
def test_an_entry_is_measured_beside_ffdnet(tiny_entry: Path, photos: Path, tmp_path: Path) -> None:
    safetensors.torch.save_file(ffdnet_tensors(), tmp_path / "ffdnet.safetensors")
    arguments = [str(tiny_entry), "--ffdnet", str(tmp_path / "ffdnet.safetensors"), "--turns", "1"]
    main([*arguments, "--photos", f"two={photos}", "--threads", "1", "--out", str(tmp_path)])
    report = json.loads((tmp_path / "denoisers.json").read_text())
    assert list(report["scores"]) == [f"tiny@{tiny_entry.name[:8]}", "FFDNet"]
    # An untrained EDSR adds little to its input, so what is left is the noise.
    assert report["scores"]["FFDNet"]["two"][0]["psnr"] < 40
    timed = {f"tiny@{tiny_entry.name[:8]}", "FFDNet, torch", "FFDNet, onnxruntime"}
    assert set(report["seconds_per_megapixel"]) == timed
    assert "| FFDNet |" in (tmp_path / "denoisers.md").read_text()
