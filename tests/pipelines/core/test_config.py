import ast
import inspect
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import parse_yaml
from pydantic import Field

from pipelines.core.config import Section, load_section, read_yaml
from pipelines.core.errors import ConfigError
from pipelines.data.config import PrepareConfig
from pipelines.doctor.options import Options as AllSections  # noqa: F401, defines all sections
from pipelines.serve.config import ServeConfig
from pipelines.training.config import TrainConfig

ROOT = Path(__file__).parents[3]

SEARCHED = "pipelines.search.space"
"""Its options are ranges of those that other sections describe."""


class Inner(Section):
    rate: float = 0.1


class Options(Section):
    inner: Inner = Inner()
    steps: int = Field(default=10, ge=1)
    sizes: tuple[int, int] = (1, 2)


def load(tmp_path: Path, text: str) -> Options:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return load_section(path, "train", Options)


def test_a_section_becomes_its_model(tmp_path: Path) -> None:
    options = load(tmp_path, "train: {steps: 3, sizes: [4, 5], inner: {rate: 1}}\nserve: {port: 1}")
    assert options == Options(steps=3, sizes=(4, 5), inner=Inner(rate=1.0))


@pytest.mark.parametrize("text", ["", "train:", "prepare: {seed: 1}"])
def test_a_missing_section_means_defaults(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, text) == Options()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tarin: {}", "did you mean 'train'"),
        ("train: {step: 3}", "unknown key 'train.step'; did you mean 'steps'"),
        ("train: {inner: {rat: 3}}", "unknown key 'train.inner.rat'; did you mean 'rate'"),
        ("train: {steps: 0}", "train.steps: Input should be greater than or equal to 1, got 0"),
        ("train: {steps: 1.5}", "train.steps"),
        ("train: {steps: yes}", "train.steps"),
        ("train: {steps: 1e3}", "train.steps: Input should be a valid integer, got 1000.0"),
        ("train: {inner: {rate: 1e-}}", "train.inner.rate: Input should be a valid number, got '1e-'"),
        ("train: {inner: {rate: .nan}}", "train.inner.rate"),
        ("train: {steps: 1, steps: 2}", "duplicate key 'steps'"),
        ("train: [1, 2]", "train"),
        ("train:\n\tsteps: 1", "not valid YAML"),
        ("- 1", "expected sections"),
        ("train: {1: 2}", "train"),
        ("train: {[1]: 2}", "not valid YAML"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["1e-05", "1E-5", "+1.e-5", ".1e-4", "1.0e-05", "0.00001", "100e-7"])
def test_floats_are_those_of_yaml_1_2(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, f"train: {{inner: {{rate: {text}}}}}").inner.rate == pytest.approx(1e-5)
    assert parse_yaml(text, "params.yaml") == pytest.approx(1e-5)  # DVC agrees


@pytest.mark.parametrize("text", ["1e3x", "e5", "0x1e3z", "'1e3'", "1e3.5", "v1e3"])
def test_other_text_with_an_exponent_stays_text(tmp_path: Path, text: str) -> None:
    (tmp_path / "params.yaml").write_text(f"name: {text}")
    assert read_yaml(tmp_path / "params.yaml") == {"name": text.strip("'")}


OWN = [ROOT / "params.yaml", *sorted(ROOT.glob("models/*/params.yaml"))]


@pytest.mark.parametrize("source", OWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_parameter_that_dvc_sets_changes_one_line(source: Path, tmp_path: Path) -> None:
    before = source.read_text(encoding="utf-8")
    path = tmp_path / "params.yaml"
    path.write_text(before, encoding="utf-8")
    apply_overrides(path, ["train.steps=7"])
    lines = list(zip(before.splitlines(), path.read_text(encoding="utf-8").splitlines(), strict=True))
    [(old, new)] = [(old, new) for old, new in lines if old != new]
    assert (old.split(":")[0], new) == ("  steps", "  steps: 7")
    apply_overrides(path, ["train.optimizer.lr=0.00001"])
    assert "lr: 1e-05" in path.read_text(encoding="utf-8")
    assert load_section(path, "train", TrainConfig).optimizer.lr == 1e-5


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"params\.yaml"):
        load_section(tmp_path / "params.yaml", "train", Options)


def test_the_repositorys_own_parameters_are_valid() -> None:
    from importlib import import_module

    from pipelines.cli.stages import STAGES

    sections: dict[str, Any] = {name: stage[1:] for name, stage in STAGES.items()}
    sections["serve"] = ("pipelines.serve.config", "ServeConfig")
    for name, (module, kind) in sections.items():
        model = getattr(import_module(module), kind)
        assert isinstance(load_section(ROOT / "params.yaml", name, model), model)


def section_models(model: type[Section]) -> Iterator[type[Section]]:
    """Models of a section and of the sections in it, as they are written down."""
    for child in model.__subclasses__():
        if child.__module__.startswith("pipelines.") and "[" not in child.__name__:
            yield child
        yield from section_models(child)


def undescribed(model: type[Section]) -> list[str]:
    """Options that neither a docstring of their own nor their model's describes."""
    [definition] = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(definition, ast.ClassDef)
    names = []
    for option, after in pairwise([*definition.body, ast.Pass()]):
        if isinstance(option, ast.AnnAssign) and isinstance(option.target, ast.Name):
            own = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            name = option.target.id
            if name.startswith("_"):  # no option, and in no file
                continue
            field = model.model_fields[name]
            section = isinstance(field.default, Section) or name == "name"  # of a task, which has one too
            if not (own or section or name in (model.__doc__ or "")):
                names.append(name)
    return names


def test_every_option_is_described() -> None:
    models = {model for model in section_models(Section) if model.__module__ != SEARCHED}
    assert {TrainConfig, ServeConfig, PrepareConfig} < models
    assert {model.__name__: names for model in models if (names := undescribed(model))} == {}
