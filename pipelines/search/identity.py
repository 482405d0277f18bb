"""Which search this is: another space under the same name is another search, and is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipelines.core.errors import ConfigError
from pipelines.core.records import read_json, write_json_atomic
from pipelines.data.photos import PhotoSet
from pipelines.running.fingerprint import code_digest
from pipelines.running.versions import changed_versions, installed_versions, said
from pipelines.search.scoring.code import scoring_digest
from pipelines.search.search import Search
from pipelines.tracking.server import flatten

NOTE = "search.json"

VERSIONS, LINEAGE = "versions", "lineage"
"""Keys of the note that are no part of the identity: the versions of its last start, and each change."""

BUDGET = {"trials", "minutes", "concurrent", "workers", "max_failures"}
"""Options of a search that may change while it is under way."""

WHOLE = {
    "code": "training code",
    "scoring code": "scoring code",
    "photos": "training photographs",
    "held out": "validation photographs",
}
"""What is known by its digest alone."""


def identity(search: Search, photos: PhotoSet, held_out: PhotoSet) -> dict[str, Any]:
    """Everything that the scores of a search rest on, as JSON values."""
    return {
        "schema": 1,
        "search": search.config.model_dump(mode="json", exclude=BUDGET),
        "train": search.basis,
        "materials": search.materials,
        "photos": photos.index.sha256,
        "held out": held_out.index.sha256,
        "code": code_digest(),
        "scoring code": scoring_digest(),
    }


def claim(folder: Path, wanted: dict[str, Any], tell: Callable[[str], None]) -> None:
    """Write down which search a folder is of, and under which versions it goes on.

    Args:
        folder: of its state.
        wanted: see :func:`identity`.
        tell: gets a sentence if those are others than before.

    Raises:
        ConfigError: it is of another one; the message names what differs.
    """
    check(folder, wanted)
    before = _note(folder)
    now, lineage = installed_versions(), before.get(LINEAGE, [])
    changed = changed_versions(before.get(VERSIONS, {}), now)
    if changed:
        tell(f"search: with {said(changed)}: the numbers of what is trained from here on may differ")
        lineage = [*lineage, changed]
    write_json_atomic(folder / NOTE, {**wanted, VERSIONS: now, LINEAGE: lineage})


def check(folder: Path, wanted: dict[str, Any]) -> None:
    """Refuse another search than the folder's, see :func:`claim`; a folder that is not there is nobody's."""
    note = {key: value for key, value in _note(folder).items() if key not in (VERSIONS, LINEAGE)}
    if not note:
        return
    before, now = dict(flatten(note)), dict(flatten(wanted))
    differing = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    if differing:
        first = "; ".join(_said(key, before.get(key), now.get(key)) for key in differing[:5])
        more = f"; and {len(differing) - 5} more" if len(differing) > 5 else ""
        raise ConfigError(
            f"the search in {folder} was begun as another one: {first}{more}; give search.name another name, "
            "put back what changed, or remove that folder to begin anew"
        )


def _note(folder: Path) -> dict[str, Any]:
    path = folder / NOTE
    return read_json(path) if path.exists() else {}


def _said(key: str, before: Any, now: Any) -> str:
    if key in WHOLE:
        return f"the {WHOLE[key]} changed"
    return f"{key} was {_shown(before)}, is {_shown(now)}"


def _shown(value: Any) -> Any:
    return "not there" if value is None else value
