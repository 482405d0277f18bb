import pytest
import torch

from pipelines.config import parse_section
from pipelines.errors import ConfigError
from pipelines.paths import Layout
from pipelines.train.config import TrainConfig
from pipelines.train.local import run_local


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_told(config: TrainConfig, layout: Layout) -> None:
    compute = {"runner": "local", "use_gpu": True}
    asked = parse_section(config.model_dump() | {"compute": compute}, "train", TrainConfig)
    with pytest.raises(ConfigError, match="torch finds none"):
        run_local(asked, layout.prepare / "train", layout.state / "run", "print")


def test_it_leaves_checkpoints_a_log_and_pictures(config: TrainConfig, layout: Layout) -> None:
    folder = layout.state / "run"
    run_local(config, layout.prepare / "train", folder, "print")
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"step-00000004", "step-00000006"}
    assert (folder / "log.jsonl").exists()
    assert len(list((folder / "samples").glob("step-*.png"))) == 3
