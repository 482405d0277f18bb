from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing
from torch import distributed as dist

from pipelines.data.photos import PhotoSet, write_photos
from pipelines.measure.photographs import CenterCrops
from pipelines.training.batches import Share
from pipelines.training.validation import Validation
from small_tasks import Fading, Tinting
from tiny_tasks import tiny_task
from tunable_models import ControlSpace, TunableNetwork, build, make_tunable

DEVICE = torch.device("cpu")


@pytest.fixture
def photos(tmp_path: Path) -> PhotoSet:
    random = np.random.default_rng(0)
    pictures = [(f"{i}.png", random.integers(0, 256, (20 + i, 24, 3), dtype=np.uint8)) for i in range(3)]
    return write_photos(tmp_path / "validation", pictures)


def network_of(space: ControlSpace) -> TunableNetwork:
    torch.manual_seed(0)
    return make_tunable(build("edsr", width=2, blocks=1), space)


def numbers(photos: PhotoSet, share: Share) -> dict[str, float]:
    task = tiny_task("denoise-deblur")
    look = Validation(photos, task, crop_px=16, unit=1, seed=0, share=share, device=DEVICE)
    return look(network_of(task.space))


def one_of_two(rank: int, folder: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    photos = PhotoSet.open(folder / "validation")
    torch.save(numbers(photos, Share(rank, 2)), folder / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_workers_share_the_photographs_and_agree_on_the_numbers(photos: PhotoSet, tmp_path: Path) -> None:
    torch.multiprocessing.spawn(one_of_two, (tmp_path,), nprocs=2)  # type: ignore[no-untyped-call]
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    alone = numbers(photos, Share(0, 1))
    assert first == second
    assert first["psnr"] == pytest.approx(alone["psnr"], abs=1e-5)
    assert first["loss"] == pytest.approx(alone["loss"], rel=1e-5)
    assert first["at"].keys() == alone["at"].keys()


def test_numbers_are_those_of_the_setting(photos: PhotoSet) -> None:
    task = Fading()
    look = Validation(photos, task, crop_px=16, unit=1, seed=0, share=Share(0, 1), device=DEVICE)
    at = look(network_of(task.space))["at"]
    assert set(at) == {"light 0", "light 50", "light 25"}
    clean = torch.cat([CenterCrops(photos, 16, 1)[i] for i in range(3)])  # a fresh network changes little
    for light, dark in (("light 0", 0.0), ("light 25", 0.25), ("light 50", 0.5)):
        missing = (dark * clean).square().flatten(1).mean().item()
        assert at[light]["loss"] == pytest.approx(missing, rel=0.5, abs=0.002)


def test_pictures_are_compared_as_they_are_shown(tmp_path: Path) -> None:
    """Noise leaves [0, 1], and with both sliders down the network hands its input through."""
    black = write_photos(tmp_path / "black", [("black.png", np.zeros((20, 20, 3), np.uint8))])
    task = tiny_task("denoise-deblur")
    look = Validation(black, task, crop_px=16, unit=1, seed=0, share=Share(0, 1), device=DEVICE)
    network = network_of(task.space)
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    assert look(network)["at"]["denoise 0 deblur 0"]["psnr"] == 100.0


def test_a_task_without_a_target_picture_has_no_psnr(photos: PhotoSet) -> None:
    task = Tinting()
    look = Validation(photos, task, crop_px=16, unit=1, seed=0, share=Share(0, 1), device=DEVICE)
    found = look(network_of(task.space))
    assert set(found) == {"loss", "at"}
    assert {tuple(value) for value in found["at"].values()} == {("loss",)}


def test_a_network_stays_in_training(photos: PhotoSet) -> None:
    task = tiny_task("denoise-deblur")
    network = network_of(task.space).train()
    Validation(photos, task, crop_px=16, unit=1, seed=0, share=Share(0, 1), device=DEVICE)(network)
    assert network.training
