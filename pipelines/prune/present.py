"""What the parameters and artefacts of a work tree need now."""

from dataclasses import dataclass
from typing import Any, Self

from pipelines.core.config import load_section
from pipelines.core.errors import DataError
from pipelines.core.layout import Layout
from pipelines.core.records import read_json
from pipelines.data.config import PrepareConfig
from pipelines.data.public_sets import find_set
from pipelines.search.config import SearchConfig
from pipelines.training.config import TrainConfig


@dataclass(frozen=True, kw_only=True)
class Present:
    """What must not be pruned.

    Attributes:
        options: that determine the run of ``params.yaml``, as JSON values.
        fingerprint: of the run that made ``artifacts/train``; empty without.
        search: name of the search of ``params.yaml``.
        entry: name of the entry of the receipt in ``artifacts/publish``; empty without.
        version: of that entry.
        sets: public sets of photographs that ``params.yaml`` names.
        shards: file names of the shards of ``artifacts/prepare``.
    """

    options: dict[str, Any]
    fingerprint: str
    search: str
    entry: str
    version: str
    sets: frozenset[str]
    shards: frozenset[str]

    @classmethod
    def of(cls, layout: Layout) -> Self:
        """What a work tree needs.

        Raises:
            ConfigError: ``params.yaml`` is missing or invalid, so that nobody can say.
            DataError: so is an artefact.
        """
        prepare = load_section(layout.params, "prepare", PrepareConfig)
        train = load_section(layout.params, "train", TrainConfig)
        record, receipt = (
            _read(layout, layout.train / "record.json"),
            _read(layout, layout.publish / "receipt.json"),
        )
        sources = (prepare.source, prepare.test_source)
        selections = [find_set(source) for source in sources if source]
        indexes = [_read(layout, path) for path in sorted(layout.prepare.glob("*/index.json"))]
        return cls(
            options=train.identity(),
            fingerprint=str(record.get("fingerprint", "")),
            search=load_section(layout.params, "search", SearchConfig).name,
            entry=str(receipt.get("name", "")),
            version=str(receipt.get("version", "")),
            sets=frozenset(selection.set.name for selection in selections if selection),
            shards=frozenset(
                f"pixels-{shard['sha256']}.bin" for index in indexes for shard in index.get("shards", [])
            ),
        )


def _read(layout: Layout, path: Any) -> dict[str, Any]:
    """An artefact; empty if there is none.

    Raises:
        DataError: it is damaged.
    """
    try:
        values = read_json(path)
    except FileNotFoundError:
        return {}
    except ValueError as error:
        reason = f"{path.relative_to(layout.root)}: {error}"
        raise DataError(f"expected to read what is needed, got {reason}; repair or remove it") from error
    return dict(values)
