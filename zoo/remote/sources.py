"""The zoos elsewhere that are asked for an entry that is not at hand, and the progress of a pull from one.

Sources are kept in ``sources.json`` in the user's configuration folder of the platform, or in the folder that
``$TUNABLE_ZOO_CONFIG`` names.
"""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock

from zoo import strict_json
from zoo.durable import replace_file
from zoo.errors import ManifestError
from zoo.manifest import NAME
from zoo.remote.fetching import OnProgress
from zoo.remote.remote_zoo import RemoteZoo
from zoo.remote.seen_serials import config_root


class Source(NamedTuple):
    """A zoo that is asked for entries that are not at hand.

    Attributes:
        url: of the zoo.
        key: the public key that must have signed its index; empty for none.
    """

    url: str
    key: str = ""

    @property
    def zoo(self) -> RemoteZoo:
        """The zoo, with the cache of this user."""
        return RemoteZoo(self.url, key=self.key)


def list_sources() -> dict[str, Source]:
    """Zoos by name, in the order in which they are asked.

    Raises:
        ManifestError: the file of sources is damaged.
    """
    path = _sources_path().resolve()  # it may be a link into somebody's dotfiles
    if not path.exists():
        return {}
    remedy = "restore it, or delete it and add the sources again"
    try:
        values = strict_json.read_json(path)
    except ManifestError as error:
        raise ManifestError(f"{error}; {remedy}") from error
    if not isinstance(values, list) or not all(map(_is_source, values)):
        raise ManifestError(f"{path}: expected lists of a name, a URL and a key, got {values!r}; {remedy}")
    return {name: Source(*rest) for name, *rest in values}


def find_zoo(url: str) -> RemoteZoo:
    """The zoo at a URL, with the key of the source there, if there is one.

    Raises:
        ManifestError: the file of sources is damaged.
    """
    found = RemoteZoo(url)
    there = strip_user(found.url)
    keys = [source.key for source in list_sources().values() if strip_user(source.url) == there]
    return replace(found, key=next(filter(None, keys), ""))


def add_source(name: str, url: str, key: str = "") -> None:
    """Ask a zoo for entries that are not at hand, after those that are asked already.

    Args:
        name: to speak of it.
        url: of the zoo.
        key: the public key that must have signed its index, in one line as OpenSSH writes it; empty for none.

    Raises:
        ManifestError: the name is not of the form of a model's.
    """
    if not _is_source([name, url, key]):
        raise ManifestError(f"expected a name such as 'team' and a URL, got {name!r} and {url!r}")
    source = Source(RemoteZoo(url).url, key)
    _change_sources(lambda known: known | {name: source})


def remove_source(name: str) -> None:
    """Ask a zoo no more; what was pulled from it stays in the cache.

    Raises:
        ManifestError: there is no such source.
    """

    def remove(known: dict[str, Source]) -> dict[str, Source]:
        if name not in known:
            raise ManifestError(f"no source {name!r}; there are {', '.join(known) or 'none'}")
        return {other: source for other, source in known.items() if other != name}

    _change_sources(remove)


@contextmanager
def show_progress(label: str) -> Iterator[OnProgress]:
    """Show a bar for a pull on a terminal's stderr, once something arrives."""
    from rich.console import Console  # late: most uses of the zoo pull nothing
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    bar = Progress(
        "{task.description}",
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        transient=True,
        disable=not sys.stderr.isatty(),
    )
    with bar:
        task = bar.add_task(label, total=None, visible=False)
        yield lambda done, total: bar.update(task, completed=done, total=total, visible=True)


def _sources_path() -> Path:
    return config_root() / "sources.json"


def strip_user(url: str) -> str:
    """A URL without user and password, which make no other zoo of it."""
    return re.sub(r"(?<=://)[^/]*@", "", url)


def _is_source(values: object) -> bool:
    return (
        isinstance(values, list)
        and len(values) in (2, 3)
        and all(isinstance(part, str) for part in values)
        and all(values[:2])
        and NAME.fullmatch(values[0]) is not None
    )


def _change_sources(change: Callable[[dict[str, Source]], dict[str, Source]]) -> None:
    path = _sources_path().resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(".sources.lock")):
        changed = change(list_sources())
        values = [[name, *filter(None, source)] for name, source in changed.items()]
        replace_file(path, strict_json.encode_json(values))
