"""Every recipe is valid whole, and trains, resumes and is evaluated when it is made small."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from dvc.utils.hydra import apply_overrides

from pipelines.cli.stages import STAGES
from pipelines.core.config import SECTIONS, load_section, parse_section
from pipelines.core.errors import ConfigError
from pipelines.data.photos import write_photos
from pipelines.recipes import BUDGETS, TASKS, find_budgets, make_recipe
from pipelines.serve.config import ServeConfig
from pipelines.training.batches import Share
from pipelines.training.checkpoint import CheckpointStore
from pipelines.training.config import TrainConfig
from pipelines.training.log import Progress
from pipelines.training.loop import Hooks, LoopInputs, run_training_loop
from tiny_tasks import SMALL
from tunable_models import TunableNetwork

NETWORKS: dict[str, dict[str, Any]] = {
    "drunet": {"widths": (2, 4), "blocks": 1},
    "edsr": {"width": 4, "blocks": 1},
    "nafnet": {"width": 4, "enc_blocks": (1,), "middle_blocks": 1, "dec_blocks": (1,)},
    "stylenet": {"width": 2, "blocks": 1},
    "swinir": {"width": 4, "depths": (1,), "heads": (1,), "window": 4},
}
ADVERSARIAL = {"adversarial_scale": 0.1, "critic": {"width": 2, "depth": 1}}


RECIPES = [(task, budget) for task in TASKS for budget in find_budgets(task)]


@pytest.mark.parametrize(("name", "budget"), RECIPES)
def test_every_section_is_valid(name: str, budget: str, tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    params.write_text(make_recipe(name, budget))
    # A search has a space by default, and no recipe knows a better one.
    assert tuple(yaml.safe_load(params.read_text())) == tuple(s for s in SECTIONS if s != "search")
    for stage, (_, options, kind) in STAGES.items():
        load_section(params, stage, getattr(import_module(options), kind))
    load_section(params, "serve", ServeConfig)
    config = load_section(params, "train", TrainConfig)
    assert config.task.name == name
    assert config.compute.use_gpu == budget.startswith("gpu")
    assert (config.network.preset is not None) == budget.startswith("gpu")
    assert (config.precision, config.compute.channels_last) == (
        ("bfloat16", True) if budget in ("cpu-hours", "gpu-half-hour") else ("float32", False)
    )


@pytest.mark.parametrize(("name", "budget"), RECIPES)
def test_a_parameter_that_dvc_sets_changes_one_line(name: str, budget: str, tmp_path: Path) -> None:
    params, text = tmp_path / "params.yaml", make_recipe(name, budget)
    params.write_text(text)
    apply_overrides(params, ["train.steps=7"])
    lines = zip(text.splitlines(), params.read_text().splitlines(), strict=True)
    assert [new.strip() for old, new in lines if old != new] == ["steps: 7"]


def test_evaluation_asks_for_levels_the_task_has(tmp_path: Path) -> None:
    from pipelines.evaluate.config import EvaluateConfig
    from pipelines.tasks import make_task

    for name, budget in RECIPES:
        params = tmp_path / f"{name}-{budget}.yaml"
        params.write_text(make_recipe(name, budget))
        task = make_task(load_section(params, "train", TrainConfig).task)
        asked = load_section(params, "evaluate", EvaluateConfig).levels
        assert set(asked) == set(task.levels)


def test_every_task_has_the_cheapest_and_the_most_expensive_budget() -> None:
    for task in TASKS:
        assert {"minutes", "gpu-days"} <= set(find_budgets(task))
    for task in ("noise-level", "real-world", "denoise-deblur"):
        assert find_budgets(task) == BUDGETS


def test_an_unknown_task_or_budget_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="'noise-level'"):
        make_recipe("noise-levl")
    with pytest.raises(ConfigError, match=r"noise-level, .*real-world"):
        make_recipe("x")
    with pytest.raises(ConfigError, match="'minutes'"):
        make_recipe("noise-level", "minute")
    with pytest.raises(ConfigError, match="minutes, gpu-days"):
        make_recipe("style-transfer", "cpu-hours")


def make_tiny(name: str, budget: str, **task: Any) -> TrainConfig:
    """The recipe with a small network, few steps and small patches."""
    values = yaml.safe_load(make_recipe(name, budget))["train"]
    values["task"] |= SMALL.get(name, {}) | task
    if "critic" in values["task"]:
        values["task"]["critic"] = ADVERSARIAL["critic"]
    network = values["network"]
    network.pop("preset", None)
    network["config"] = dict(NETWORKS[network["architecture"]])
    if "scale" in values["task"]:
        network["config"]["scale"] = values["task"]["scale"]
    values["sampling"]["group"] = 2
    values["optimizer"]["warmup_steps"] = 1
    values["compute"] = {"runner": "local"}
    sizes = {"steps": 4, "batch_size": 2, "patch_px": 16, "log_every": 1, "checkpoint_every": 2}
    return parse_section(values | sizes, "train", TrainConfig)


def test_the_recipe_of_the_default_task_is_the_default(tmp_path: Path) -> None:
    """Written twice, for two runners."""
    params = tmp_path / "params.yaml"
    params.write_text(make_recipe("denoise-deblur"))
    default = Path(__file__).parents[3] / "params.yaml"
    ours, theirs = (load_section(path, "train", TrainConfig).identity() for path in (params, default))
    assert ours == theirs


class Stop(Exception):
    """The machine fails here."""


CASES: list[tuple[str, str, dict[str, Any]]] = [(name, budget, {}) for name, budget in RECIPES]
CASES += [("super-resolution", "minutes", ADVERSARIAL)]


@pytest.mark.parametrize(("name", "budget", "task"), CASES)
@pytest.mark.slow
def test_it_trains_and_resumes_bit_for_bit(
    name: str, budget: str, task: dict[str, Any], tmp_path: Path
) -> None:
    config = make_tiny(name, budget, **task)
    random = np.random.default_rng(0)
    photos = [(f"{i}.png", random.integers(0, 256, (20, 24, 3), dtype=np.uint8)) for i in range(2)]
    written = write_photos(tmp_path / "photos", photos)

    def job(folder: str) -> LoopInputs:
        store = CheckpointStore(tmp_path / folder, "print")
        return LoopInputs(
            config=config,
            photos=written,
            store=store,
            share=Share(0, 1),
            device=torch.device("cpu"),
        )

    whole: list[Progress] = []
    expected = run_training_loop(job("whole"), Hooks(report=whole.append))
    halves: list[Progress] = []

    def stop(point: Progress) -> None:
        halves.append(point)
        if point.step == 3:
            raise Stop

    with pytest.raises(Stop):
        run_training_loop(job("halves"), Hooks(report=stop))
    resumed = run_training_loop(job("halves"), Hooks(report=halves.append))
    assert [(p.step, p.loss) for p in halves] == [(p.step, p.loss) for p in [*whole[:3], *whole[2:]]]
    for one, other in zip(resumed.parameters(), expected.parameters(), strict=True):
        assert torch.equal(one, other)
    assert has_moved(config, expected)
    states = [CheckpointStore(tmp_path / run, "print").load(4) for run in ("whole", "halves")]
    assert ("critic" in states[0]) == (getattr(config.task, "adversarial_scale", 0) > 0)
    for key, tensor in states[0].get("critic", {}).items():
        assert torch.equal(tensor, states[1]["critic"][key])


def has_moved(config: TrainConfig, network: TunableNetwork) -> bool:
    """Whether training changed the network at every vertex of its sliders."""
    before = config.network.make(network.space, config.seed)
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    vertices = torch.tensor(network.space.vertices)
    with torch.inference_mode():
        return all(not torch.equal(before.eval().at(v)(x), network.eval().at(v)(x)) for v in vertices)


def test_the_critic_learns(tmp_path: Path) -> None:
    config = make_tiny("super-resolution", "minutes", **ADVERSARIAL)
    photo = np.random.default_rng(0).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    photos = write_photos(tmp_path / "photos", [("0.png", photo)])
    store = CheckpointStore(tmp_path / "run", "print")
    job = LoopInputs(config=config, photos=photos, store=store, share=Share(0, 1), device=torch.device("cpu"))
    run_training_loop(job, Hooks())
    early, late = store.load(2)["critic"], store.load(4)["critic"]
    assert all(not torch.equal(early[key], late[key]) for key in early if key.endswith("weight"))
    other = replace(job, store=CheckpointStore(tmp_path / "other", "print"))
    slow = config.optimizer.model_copy(update={"critic_lr": 1e-9})
    run_training_loop(replace(other, config=config.model_copy(update={"optimizer": slow})), Hooks())
    still = other.store.load(4)["critic"]
    assert not torch.equal(late["layers.0.weight"], still["layers.0.weight"])
