"""Where a command looks for entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.core.errors import ConfigError
from pipelines.core.layout import Layout

if TYPE_CHECKING:
    from zoo import Store


def work_tree() -> Layout | None:
    """The work tree that holds the current folder, if there is one."""
    try:
        return Layout.find()
    except ConfigError:
        return None


def stores() -> list[Store]:
    """The work tree's own store, if it has published anything, before the default ones."""
    from zoo import Store, default_stores

    layout = work_tree()
    local = [Store(layout.store)] if layout and layout.store.is_dir() else []
    return [*local, *default_stores()]
