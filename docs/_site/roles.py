"""Griffe extension: Sphinx roles in docstrings become cross-references, and ``Example:`` an example."""

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from griffe import AliasResolutionError, Extension, GriffeLoader, Module, NameResolutionError, Object

ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):`(~?)([^`]+)`")
EXAMPLE = re.compile(r"^(\s*)Example:$", re.MULTILINE)


class SphinxRoles(Extension):
    """Rewrites the docstrings of a package once it is loaded."""

    def on_package(self, *, pkg: Module, loader: GriffeLoader, **kwargs: Any) -> None:
        """Rewrite all docstrings of a package."""
        for item in iterate_objects(pkg):
            if item.docstring:
                text = EXAMPLE.sub(r"\1Examples:", item.docstring.value)
                item.docstring.value = ROLE.sub(partial(format_reference, item), text)


def iterate_objects(item: Object) -> Iterator[Object]:
    """An object and everything defined inside it."""
    yield item
    for member in item.members.values():
        if isinstance(member, Object):
            yield from iterate_objects(member)


def format_reference(item: Object, match: re.Match[str]) -> str:
    """A link to the name, if it has a place in the manual; otherwise its code."""
    short, name = match.groups()
    label = name.rpartition(".")[2] if short else name
    return f'<autoref identifier="{find_path(item, name)}" optional><code>{label}</code></autoref>'


def find_path(item: Object, name: str) -> str:
    """The full path of a name that a docstring mentions."""
    try:
        return item.resolve(name)
    except (NameResolutionError, AliasResolutionError, KeyError):
        return name
