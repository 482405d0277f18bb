import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tunable_models.registry import Package, Registry

GROUP = "shapes.tests"


class ShapeError(Exception):
    pass


def check_shape(name: str, item: object) -> type:
    if not isinstance(item, type):
        raise ShapeError(f"expected a class for {name}, got {item!r}")
    return item


def make_registry() -> "Registry[type]":
    registry: Registry[type] = Registry(
        "shape", GROUP, error=ShapeError, check=check_shape, definition=lambda item: item
    )
    registry.add_builtin("square", int)
    return registry


Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a package of one module, with entry points to what is in it."""

    def install(name: str, code: str, **entries: str) -> None:
        module = name.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(code)
        metadata = tmp_path / f"{module}-1.5.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\n")
        (metadata / "top_level.txt").write_text(module)
        lines = [f"{entry} = {module}:{item}" for entry, item in entries.items()]
        (metadata / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines]))
        monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.syspath_prepend(tmp_path)

    return install


def test_entry_points_are_named_unloaded_and_loaded_once(install: Install) -> None:
    install("round-shapes", "class Disc: ...", disc="Disc")
    registry = make_registry()
    assert registry.names() == ["square", "disc"]
    assert "round_shapes" not in sys.modules
    assert registry.get("disc") is registry.get("disc")
    assert registry.get("disc").__module__ == "round_shapes"
    assert registry.registered("disc") is None
    assert registry.package("disc") == Package("round-shapes", "1.5")
    assert registry.package("square") is None
    del sys.modules["round_shapes"]


def test_a_broken_package_is_named_and_harms_no_other(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    install("broken-shapes", "import no_such_module", ring="Ring")
    install("odd-shapes", "Oval = 3", oval="Oval")
    install("good-shapes", "class Disc: ...", disc="Disc")
    registry = make_registry()
    for _ in range(2):
        with pytest.raises(ShapeError, match=r"broken-shapes 1\.5.*no_such_module"):
            registry.get("ring")
    with pytest.raises(ShapeError, match=r"odd-shapes 1\.5.*expected a class for oval"):
        registry.get("oval")
    with caplog.at_level(logging.WARNING):
        assert [name for name, _ in registry.items()] == ["square", "disc"]
    assert "broken-shapes" in caplog.text
    del sys.modules["good_shapes"], sys.modules["odd_shapes"]


def test_taken_names_are_refused(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    install("one-shapes", "class Disc: ...", disc="Disc", square="Disc")
    install("two-shapes", "class Disc: ...", disc="Disc")
    registry = make_registry()
    with caplog.at_level(logging.WARNING):
        assert registry.get("square") is int
        assert registry.names() == ["square", "disc"]
    assert "one-shapes 1.5" in caplog.text
    with pytest.raises(ShapeError, match=r"one-shapes 1\.5 and two-shapes 1\.5"):
        registry.get("disc")
    for name in ("square", "disc"):
        with pytest.raises(ShapeError, match="exists already"):
            registry.register(name, float)


def test_calls_register_and_replace_their_own_definitions_alone() -> None:
    registry = make_registry()

    def define(base: type) -> type:
        class Ring(base):  # type: ignore[misc]
            pass

        return Ring

    first, again = define(int), define(float)
    assert registry.register("ring", first) is first
    assert registry.register("ring", again) is again  # a notebook's cell that runs once more
    assert registry.get("ring") is registry.registered("ring") is again
    with pytest.raises(ShapeError, match="exists already, as"):
        registry.register("ring", str)
    for name in ("", "Ring", "a b", "a/b", "-a"):
        with pytest.raises(ShapeError, match="small letters"):
            registry.register(name, str)
    with pytest.raises(ShapeError, match="expected a class"):
        registry.register("arc", 3)
    with pytest.raises(ShapeError, match="did you mean 'ring'"):
        registry.get("rings")
