"""The zoos elsewhere that are asked for an entry that is not at hand, and the progress of a pull from one.

Sources are kept in ``sources.json`` in the user's configuration folder of the platform, or in the folder that
``$TUNABLE_ZOO_CONFIG`` names.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock
from platformdirs import user_config_path

from zoo import strict_json
from zoo.durable import replace_file
from zoo.errors import ManifestError
from zoo.manifest import NAME
from zoo.remote.remote_zoo import OnProgress, RemoteZoo

CONFIG_VARIABLE = "TUNABLE_ZOO_CONFIG"


def list_sources() -> dict[str, str]:
    """URLs of zoos by name, in the order in which they are asked.

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
        raise ManifestError(f"{path}: expected pairs of a name and a URL, got {values!r}; {remedy}")
    return dict(values)


def add_source(name: str, url: str) -> None:
    """Ask a zoo for entries that are not at hand, after those that are asked already.

    Raises:
        ManifestError: the name is not of the form of a model's.
    """
    if not _is_source([name, url]):
        raise ManifestError(f"expected a name such as 'team' and a URL, got {name!r} and {url!r}")
    place = RemoteZoo(url).url
    _change_sources(lambda known: known | {name: place})


def remove_source(name: str) -> None:
    """Ask a zoo no more; what was pulled from it stays in the cache.

    Raises:
        ManifestError: there is no such source.
    """

    def remove(known: dict[str, str]) -> dict[str, str]:
        if name not in known:
            raise ManifestError(f"no source {name!r}; there are {', '.join(known) or 'none'}")
        return {other: url for other, url in known.items() if other != name}

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
    chosen = os.environ.get(CONFIG_VARIABLE)
    return (Path(chosen) if chosen else user_config_path("tunable-zoo")) / "sources.json"


def _is_source(pair: object) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(isinstance(part, str) and part for part in pair)
        and NAME.fullmatch(pair[0]) is not None
    )


def _change_sources(change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    path = _sources_path().resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(".sources.lock")):
        changed = change(list_sources())
        replace_file(path, strict_json.encode_json([list(pair) for pair in changed.items()]))
