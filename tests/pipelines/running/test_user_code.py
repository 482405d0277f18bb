import functools
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from pipelines.running.user_code import CodeWalker
from tunable_models import MSE, BlendedLoss, ControlSpace

SCRIPT = '''
from torch import nn
REACH = 1

def helper(x):
    """Helps."""
    return x + REACH

def degrade(clean, generator, strength=2):
    # A comment.
    return {"input": helper(clean) * strength}

class Net(nn.Module):
    """A network."""
    def __init__(self, width=3):
        super().__init__()
        self.layer = nn.Conv2d(3, width, 1)
    def forward(self, x):
        return self.layer(x)
'''


def run_script(text: str) -> dict[str, Any]:
    """What a notebook or script defines."""
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(text, names)
    return names


def digest(value: Any) -> str:
    return CodeWalker().digest(value)


@pytest.mark.parametrize("name", ["degrade", "Net"])
def test_words_of_a_script_do_not_count(name: str) -> None:
    text = SCRIPT.replace("Helps.", "Is of help.").replace("# A comment.\n", "\n\n")
    bare = SCRIPT.replace('    """Helps."""\n', "").replace('    """A network."""\n', "")
    wanted = digest(run_script(SCRIPT)[name])
    assert digest(run_script(text)[name]) == digest(run_script(bare)[name]) == wanted


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("degrade", "* strength", "+ strength"),
        ("degrade", "strength=2", "strength=3"),
        ("degrade", "x + REACH", "x - REACH"),
        ("degrade", "REACH = 1", "REACH = 2"),
        ("Net", "self.layer(x)", "self.layer(-x)"),
        ("Net", "width=3", "width=4"),
        ("Net", "nn.Conv2d(3, width, 1)", "nn.Conv2d(3, width, 3)"),
    ],
)
def test_code_of_a_script_counts(name: str, old: str, new: str) -> None:
    assert old in SCRIPT
    assert digest(run_script(SCRIPT.replace(old, new))[name]) != digest(run_script(SCRIPT)[name])


def test_what_a_definition_does_not_name_does_not_count() -> None:
    changed = SCRIPT.replace("REACH = 1", "REACH = 2")
    assert digest(run_script(changed)["Net"]) == digest(run_script(SCRIPT)["Net"])


def make_adder(amount: float) -> Callable[[float], float]:
    return lambda x: x + amount


def make_class(amount: int) -> type:
    class Own:
        value = amount

    return Own


def make_layer(seed: int, *, frozen: bool = False) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Conv2d(3, 3, 1).requires_grad_(not frozen)


SPACE = ControlSpace.box("a")


@pytest.mark.parametrize(
    ("one", "same", "other"),
    [
        (make_adder(1.0), make_adder(1.0), make_adder(2.0)),
        (make_class(1), make_class(1), make_class(2)),
        (functools.partial(max, 1), functools.partial(max, 1), functools.partial(max, 2)),
        (make_layer(0), make_layer(0), make_layer(1)),
        (make_layer(0), make_layer(0).eval(), make_layer(0, frozen=True)),
        ({"a": {1, 2}}, {"a": {2, 1}}, {"a": {2, 3}}),
        (
            BlendedLoss(SPACE, MSE(), ("a", "b")),
            BlendedLoss(ControlSpace.box("a"), MSE(), ("a", "b")),
            BlendedLoss(SPACE, MSE(), ("b", "a")),
        ),
        (Path("a"), Path("a"), Path("b")),
        (ControlSpace.box("a"), ControlSpace.box("a"), ControlSpace.box("b")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_count(one: Any, same: Any, other: Any) -> None:
    assert digest(one) == digest(same) != digest(other)


def test_what_refers_to_itself_has_an_end() -> None:
    ring: list[Any] = []
    ring.append(ring)
    assert digest(ring) == digest(ring)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModuleType]:
    """Writes and imports a package of three modules, of which one imports the second."""

    def package(name: str, helper: str = "VALUE = 1", other: str = "", doc: str = "") -> ModuleType:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "__init__.py").touch()
        (folder / "helper.py").write_text(helper)
        (folder / "other.py").write_text(other)
        (folder / "net.py").write_text(f"'''{doc}'''\nfrom .helper import VALUE\nclass Net: ...\n")
        monkeypatch.syspath_prepend(tmp_path)
        module = __import__(f"{name}.net", fromlist=["Net"])
        monkeypatch.delitem(sys.modules, name)  # forgotten after the test
        monkeypatch.setitem(sys.modules, name, sys.modules.get(name, module))
        return module  # type: ignore[no-any-return]

    return package


def test_a_file_counts_with_what_it_imports_of_its_package(package: Callable[..., ModuleType]) -> None:
    walker = CodeWalker()
    walker.describe(package("own_a", doc="Words.").Net)
    assert walker.files.keys() == {"own_a.net", "own_a.helper"}
    assert walker.modules == {"own_a.net"}
    changed = CodeWalker()
    changed.describe(package("own_b", helper="VALUE = 2", other="VALUE = 3").Net)
    assert changed.files["own_b.helper"] != walker.files["own_a.helper"]
    assert changed.files["own_b.net"] == walker.files["own_a.net"]


def test_what_is_installed_counts_by_its_version_unless_it_is_a_plugin() -> None:
    plain = CodeWalker()
    plain.describe(pytest.Item)
    assert plain.files == {}
    assert plain.modules == set()
    plugin = CodeWalker({"_pytest"})
    plugin.describe(pytest.Item)
    assert "_pytest.nodes" in plugin.files
