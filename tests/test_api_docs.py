"""The API documentation says every public name, with an example that runs."""

import doctest
import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

import tunable_models
import zoo
from tunable_models import architectures, objectives

PACKAGES: list[ModuleType] = [tunable_models, zoo]
NAMES = [(package, name) for package in PACKAGES for name in package.__all__]


@pytest.mark.parametrize(("package", "name"), NAMES, ids=lambda value: getattr(value, "__name__", value))
def test_every_public_name_has_an_example_(package: ModuleType, name: str) -> None:
    text = inspect.getdoc(getattr(package, name)) or ""
    assert "Example:" in text
    assert doctest.DocTestParser().get_examples(text)


def examples(package: ModuleType) -> Iterator[doctest.DocTest]:
    """All examples of a package, those of names that are not public too."""
    modules = [info.name for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    for name in (package.__name__, *modules):
        found = doctest.DocTestFinder().find(import_module(name))
        yield from (test for test in found if test.examples)


def failures(test: doctest.DocTest, known: dict[str, Any]) -> str:
    test.globs |= known
    said: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=said.append)
    return "".join(said)


def public(package: ModuleType) -> dict[str, Any]:
    names = {name: getattr(package, name) for name in package.__all__}
    return {**names, package.__name__: package, "torch": torch, "nn": nn}


@pytest.mark.slow
def test_examples_of_tunable_models_run(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in (architectures, objectives):  # whose examples register some
        monkeypatch.setattr(package._REGISTRY, "_registered", {})
    tests = list(examples(tunable_models))
    assert len(tests) >= len(tunable_models.__all__)
    assert "".join(failures(test, public(tunable_models)) for test in tests) == ""


@pytest.mark.slow
def test_examples_of_zoo_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tests = list(examples(zoo))
    assert len(tests) > len(zoo.__all__)
    monkeypatch.setenv("TUNABLE_ZOO_STORE", str(tmp_path / "none"))
    reports = []
    for number, test in enumerate(tests):
        folder = tmp_path / str(number)  # its own, because some publish and one does damage
        folder.mkdir()
        monkeypatch.chdir(folder)
        store = zoo.Store(folder / "store")
        publish_tiny(store)
        reports.append(failures(test, {**public(zoo), "store": store}))
    assert "".join(reports) == ""


def publish_tiny(store: zoo.Store) -> None:
    """What the package's documentation says about ``store``: run the example of ``publish``."""
    [example] = doctest.DocTestFinder(recurse=False).find(zoo.publish, "publish")
    assert failures(example, {**public(zoo), "store": store}) == ""
    assert store.names() == ["tiny"]
