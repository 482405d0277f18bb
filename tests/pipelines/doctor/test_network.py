import safetensors.torch
import torch

from pipelines.core.config import parse_section
from pipelines.core.layout import Layout
from pipelines.doctor.network import network_size
from pipelines.tasks import make_task
from pipelines.training.config import TrainConfig
from pipelines.training.learner import Learner


def test_the_size_is_that_of_the_trained_files(config: TrainConfig, layout: Layout) -> None:
    config = config.model_copy(
        update={
            "network": config.network.model_copy(update={"config": {"width": 48, "blocks": 2}}),
            "ema_decay": 0.9,
        }
    )
    size = network_size(config, layout.root)
    learner = Learner(config, make_task(config.task), torch.device("cpu"))
    network = learner.network
    assert size.parameters == size.trained == sum(p.numel() for p in network.parameters())
    weights = len(safetensors.torch.save(network.state_dict()))
    assert size.weights_bytes < weights < 1.05 * size.weights_bytes
    for parameter in network.parameters():  # Adam's moments are there after a step
        parameter.grad = torch.zeros_like(parameter)
    learner._optimizer.step()
    file = layout.root / "state.pt"
    torch.save(learner.state(), file)
    assert 0.95 * size.checkpoint_bytes < file.stat().st_size < 1.1 * size.checkpoint_bytes


def test_a_checkpoint_to_start_from_is_not_read(layout: Layout) -> None:
    network = {
        "architecture": "edsr",
        "config": {"width": 4, "blocks": 1},
        "start": "nowhere.pth",
        "train": "deltas",
    }
    config = parse_section({"network": network}, "train", TrainConfig)
    size = network_size(config, layout.root)
    assert 0 < size.trained < size.parameters
    assert size.checkpoint_bytes < 16 * size.parameters


def test_a_large_network_takes_no_memory_for_it(layout: Layout) -> None:
    network = {"architecture": "nafnet", "preset": "w64"}
    size = network_size(parse_section({"network": network}, "train", TrainConfig), layout.root)
    assert size.parameters > 3e8
