"""Identity of a search: state of another search under the same name is never resumed."""

import logging
from pathlib import Path
from typing import Any

from pipelines.core.errors import ConfigError
from pipelines.core.records import flatten_keys, read_json, write_json_atomic
from pipelines.data.photos import PhotoSet
from pipelines.running.fingerprint import (
    changed_versions,
    code_digests,
    describe_versions,
    digest_code,
    installed_versions,
)
from pipelines.running.registrations import digest_plugins
from pipelines.search.scorer import scoring_digest
from pipelines.search.search import Search

NOTE = "search.json"

VERSIONS, LINEAGE = "versions", "lineage"
"""Keys of the note that are not part of the identity: versions at the last start, and each change of them."""

BUDGET = {"trials", "minutes", "concurrent", "workers", "max_failures"}
"""Options of a search that may change while it is under way."""

DIGESTS = {
    "code": "training code",
    "scoring code": "scoring code",
    "photos": "training photographs",
    "held out": "validation photographs",
}
"""Keys whose values are digests, which tell a reader nothing."""

SHOWN = 5
"""How many differences an error names."""

_log = logging.getLogger(__name__)


def identify_search(search: Search, photos: PhotoSet, held_out: PhotoSet) -> dict[str, Any]:
    """Everything that the scores of a search depend on, as JSON values."""
    return {
        "schema": 1,
        "search": search.config.model_dump(mode="json", exclude=BUDGET),
        "train": search.basis,
        "materials": search.materials,
        "photos": photos.index.sha256,
        "held out": held_out.index.sha256,
        "code": digest_code(code_digests(used=search.base.modules) | digest_plugins(search.base)),
        "scoring code": scoring_digest(),
    }


def claim_folder(folder: Path, identity: dict[str, Any]) -> None:
    """Record in a state folder which search it belongs to; changed library versions are logged.

    Raises:
        ConfigError: it belongs to another search; the message names the differences.
    """
    check_folder(folder, identity)
    before = _read_note(folder)
    now, lineage = installed_versions(), before.get(LINEAGE, [])
    changed = changed_versions(before.get(VERSIONS, {}), now)
    if changed:
        _log.warning("search: resuming with %s: numbers of new trials may differ", describe_versions(changed))
        lineage = [*lineage, changed]
    write_json_atomic(folder / NOTE, {**identity, VERSIONS: now, LINEAGE: lineage})


def check_folder(folder: Path, identity: dict[str, Any]) -> None:
    """Refuse a state folder of another search, as :func:`claim_folder` does, without writing."""
    note = {key: value for key, value in _read_note(folder).items() if key not in (VERSIONS, LINEAGE)}
    if not note:
        return
    before, now = flatten_keys(note), flatten_keys(identity)
    differing = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    if differing:
        first = "; ".join(_describe_change(key, before.get(key), now.get(key)) for key in differing[:SHOWN])
        more = f"; and {len(differing) - SHOWN} more" if len(differing) > SHOWN else ""
        raise ConfigError(
            f"the state in {folder} belongs to another search: {first}{more}; choose another search.name, "
            "undo the change, or delete that folder to start over"
        )


def _read_note(folder: Path) -> dict[str, Any]:
    path = folder / NOTE
    return read_json(path) if path.exists() else {}


def _describe_change(key: str, before: Any, now: Any) -> str:
    if key in DIGESTS:
        return f"the {DIGESTS[key]} changed"
    return f"{key} was {'unset' if before is None else before}, is {'unset' if now is None else now}"
