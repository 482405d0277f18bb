"""Registries by name that other packages add to: with a call, or with an entry point of their distribution.

An entry point is named after what it registers. Names are read from the metadata of installed distributions,
without importing anything; an entry point is loaded when its name is asked for, once, so a package that
cannot be imported is reported where it is used and nowhere else.
"""

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, distribution, entry_points, packages_distributions
from threading import RLock
from typing import Generic, TypeVar

from tunable_models.errors import suggest_name

T = TypeVar("T")

NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
"""Form of a registered name, which manifests and params.yaml hold."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Package:
    """An installed distribution.

    Attributes:
        name: what ``pip install`` takes.
        version: that is installed.
    """

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class Registry(Generic[T]):
    """Items by name: built in, registered by a call, or found by their entry points.

    Args:
        kind: what an item is, in messages.
        group: of the entry points.
        error: class of the errors, made from one message.
        check: raises ``error`` for an object that is no such item, and returns the item. It gets the name.
        definition: the class or function that an item is known by; re-registering the same one replaces it.
    """

    def __init__(
        self,
        kind: str,
        group: str,
        *,
        error: type[Exception],
        check: Callable[[str, object], T],
        definition: Callable[[T], object],
    ) -> None:
        self.kind, self.group = kind, group
        self._error, self._check, self._definition = error, check, definition
        self._builtin: dict[str, T] = {}
        self._registered: dict[str, T] = {}
        self._loaded: dict[str, T] = {}
        self._broken: dict[str, str] = {}
        self._lock = RLock()

    def add_builtin(self, name: str, item: T) -> None:
        """Add an item of this package, whose name no other one may take."""
        self._builtin[name] = self._check(name, item)

    def register(self, name: str, item: object) -> T:
        """Add an item under a name that is free, or replace an earlier definition of the same item.

        Raises:
            Exception: of the registry's class: the item is unfit, or the name is invalid or taken.
        """
        checked = self._check(name, item)
        if not NAME.fullmatch(name):
            raise self._error(
                f"expected small letters, digits and single dashes as name of the {self.kind}, got {name!r}"
            )
        with self._lock:
            if owner := self._find_owner(name, checked):
                raise self._error(f"{self.kind} {name!r} exists already, {owner}; take another name")
            self._registered[name] = checked
        return checked

    def names(self) -> list[str]:
        """All names: those built in, then the others in order."""
        with self._lock:
            others = sorted({*self._registered, *self._entries} - self._builtin.keys())
        return [*self._builtin, *others]

    def get(self, name: str) -> T:
        """The item of that name.

        Raises:
            Exception: of the registry's class: there is none, its package cannot be loaded, or two packages
                have it.
        """
        with self._lock:
            for items in (self._builtin, self._registered, self._loaded):
                if name in items:
                    return items[name]
            if name not in self._entries:
                raise self._error(f"unknown {self.kind} {name!r}{suggest_name(name, self.names())}")
            return self._load(name)

    def items(self) -> Iterable[tuple[str, T]]:
        """Every item that can be loaded; a package that cannot is skipped with a warning."""
        for name in self.names():
            try:
                item = self.get(name)
            except self._error as error:
                _log.warning("skipped: %s", error)
                continue
            yield name, item

    def registered(self, name: str) -> T | None:
        """The item if a call registered it, which other processes do not know; otherwise None."""
        return self._registered.get(name)

    def package(self, name: str) -> Package | None:
        """The installed package that an item comes from; None if it is built in or of no package."""
        if name in self._builtin:
            return None
        if name not in self._registered and name in self._entries:
            return _package_of(self._entries[name][0])
        top = str(getattr(self._definition(self.get(name)), "__module__", "")).partition(".")[0]
        owners = packages_distributions().get(top, [])
        return Package(owners[0], distribution(owners[0]).version) if owners else None

    @cached_property
    def _entries(self) -> Mapping[str, list[EntryPoint]]:
        """Entry points by name; what takes the name of a built-in item is refused."""
        found: dict[str, list[EntryPoint]] = {}
        for entry in entry_points(group=self.group):
            if entry.name in self._builtin:
                _log.warning(
                    "skipped: %s registers the %s %r, which is built in",
                    _package_of(entry),
                    self.kind,
                    entry.name,
                )
            else:
                found.setdefault(entry.name, []).append(entry)
        return found

    def _load(self, name: str) -> T:
        entries = self._entries[name]
        if len(entries) > 1:
            owners = " and ".join(sorted(str(_package_of(entry)) for entry in entries))
            raise self._error(f"{owners} both register the {self.kind} {name!r}; uninstall one of them")
        if name not in self._broken:
            try:
                self._loaded[name] = self._check(name, entries[0].load())
                return self._loaded[name]
            except Exception as error:  # a package may fail in any way when it is imported
                self._broken[name] = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise self._error(
            f"{_package_of(entries[0])} registers the {self.kind} {name!r} as {entries[0].value!r}, which "
            f"cannot be loaded: {self._broken[name]}; repair, update or uninstall that package"
        )

    def _find_owner(self, name: str, item: T) -> str:
        """What has the name and is not an earlier definition of the item, as text; empty if nothing."""
        if name in self._builtin:
            return "built in"
        new = self._definition(item)
        if name in self._registered:
            old = self._definition(self._registered[name])
            return "" if _place(old) == _place(new) else f"as {'.'.join(_place(old))}"
        top = _place(new)[0].partition(".")[0]
        others = [entry for entry in self._entries.get(name, ()) if entry.module.partition(".")[0] != top]
        return f"in the package {_package_of(others[0])}" if others else ""


def _place(definition: object) -> tuple[str, str]:
    """Module and qualified name of a class or function."""
    names = (getattr(definition, key, "") for key in ("__module__", "__qualname__"))
    module, qualified = map(str, names)
    return module, qualified


def _package_of(entry: EntryPoint) -> Package:
    return Package(entry.dist.name, entry.dist.version) if entry.dist else Package("a package", "of no name")
