"""Render the model card, a README, from the manifest alone."""

from collections.abc import Iterable, Iterator, Sequence

from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError

from zoo.errors import ManifestError
from zoo.manifest import CARD, WEIGHTS, Manifest

PREVIEW, CURVES = "preview.png", "curves.png"
"""Pictures that a card shows where an entry has them."""

CAPTIONS = {
    PREVIEW: "The clean photograph, the input, and positions of each slider",
    CURVES: "Curves along the sliders",
}


class CardTable(BaseModel):
    """A table of text that was made for the card."""

    title: str
    columns: list[str]
    rows: list[list[str]]


def render_card(manifest: Manifest) -> str:
    """Markdown about an entry.

    It mentions neither version nor provenance, and of the files only names: it is one of the files that
    make the version.

    Raises:
        ManifestError: ``metrics["tables"]`` is no list of tables.
    """
    sections = [
        f"# {manifest.name}",
        manifest.description,
        _picture_line(manifest, PREVIEW),
        _list_section("What it is for", manifest.intended_use),
        _list_section("What it is not for", manifest.limitations),
        f"## Use\n\n{_usage_example(manifest)}",
        f"## Controls\n\n{_controls_table(manifest)}",
        _results_section(manifest),
        _picture_line(manifest, CURVES),
        f"## Network\n\n{_describe_network(manifest)}",
        f"## Licence\n\n{_license_section(manifest)}",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _picture_line(manifest: Manifest, name: str) -> str:
    return f"![{CAPTIONS[name]}]({name})" if name in {file.path for file in manifest.files} else ""


def _list_section(title: str, items: Sequence[str]) -> str:
    return "\n".join([f"## {title}\n", *(f"- {item}" for item in items)]) if items else ""


def _describe_network(manifest: Manifest) -> str:
    config = manifest.architecture.config.items()
    options = ", ".join(f"{key} {value}" for key, value in sorted(config) if value is not None)
    rank = f" of rank {manifest.rank}" if manifest.rank else ""
    how = f"method {manifest.method}" if manifest.method else f"basis {manifest.basis}{rank}"
    network = f"{manifest.architecture.id} ({options}), {how}"
    scale = f"scale {manifest.input.scale}"
    return f"Task: {manifest.task}. Architecture: {network}, {scale}.{_describe_training(manifest)}"


def _describe_training(manifest: Manifest) -> str:
    training = manifest.metrics.get("training")
    if not isinstance(training, dict) or "steps" not in training:
        return ""
    photos, options = training.get("photos"), training.get("options")
    words = f" Trained for {training['steps']} steps"
    if isinstance(options, dict) and {"batch_size", "patch_px"} <= options.keys():
        words += f" of {options['batch_size']} patches of {options['patch_px']} px"
    if isinstance(photos, dict) and "count" in photos:
        words += f" from {photos['count']} photographs"
    return f"{words}."


def _usage_example(manifest: Manifest) -> str:
    space = manifest.control_space
    defaults = list(space.defaults.items())
    # Sliders that share a sum: the last takes what the others leave, as rounded values would not sum to 1.
    shown = defaults[:-1] if space.kind == "simplex" else defaults
    settings = ", ".join(f"{name}={value:.4g}" for name, value in shown)
    return (
        "```python\nimport zoo\n\n"
        f'model = zoo.load("{manifest.name}")\n'
        f'restored = model("photo.png", {settings})\n```'
    )


def _controls_table(manifest: Manifest) -> str:
    rows = [
        (c.name, f"{c.low:g} to {c.high:g} {c.unit}".strip(), f"{c.default:.4g}", c.description)
        for c in manifest.control_space.controls
    ]
    together = "\n\nThese share a sum of 1: those you leave unset take what the others leave."
    table = _markdown_table(("control", "range", "default", "turning it up"), rows)
    return table + (together if manifest.control_space.kind == "simplex" else "")


def list_tables(manifest: Manifest) -> list[CardTable]:
    """The numbers of an entry: its ``tables``, or the plain values and the groups of its ``summary``.

    Raises:
        ManifestError: ``metrics["tables"]`` is no list of tables.
    """
    if tables := manifest.metrics.get("tables"):
        return _parse_tables(tables)
    summary = manifest.metrics.get("summary")
    groups = summary.items() if isinstance(summary, dict) else ()
    single = sorted(
        row for key, value in groups if not _is_table(value) for row in _flatten_scalars(value, key)
    )
    plain = [CardTable(title="", columns=["metric", "value"], rows=[list(row) for row in single])]
    return [
        *(plain if single else []),
        *(_rows_table(key, value) for key, value in groups if _is_table(value)),
    ]


def _results_section(manifest: Manifest) -> str:
    parts = [_render_table(table) for table in list_tables(manifest)]
    return "\n\n".join(["## Results", *parts]) if parts else ""


def _parse_tables(tables: JsonValue) -> list[CardTable]:
    try:
        return TypeAdapter(list[CardTable]).validate_python(tables)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, ("metrics.tables", *fault["loc"])))
        raise ManifestError(
            f"{place}: expected tables with a title, columns and rows of text, got: {fault['msg']}"
        ) from error


def _render_table(table: CardTable) -> str:
    body = _markdown_table(table.columns, table.rows)
    return f"### {table.title}\n\n{body}" if table.title else body


def _is_table(value: JsonValue) -> bool:
    """Whether these are two rows at least of the same plain numbers, each row under a name."""
    rows = list(value.values()) if isinstance(value, dict) else []
    alike = {tuple(sorted(row)) if isinstance(row, dict) else () for row in rows}
    return len(rows) > 1 and len(alike) == 1 and () not in alike and all(map(_is_flat, rows))


def _is_flat(row: JsonValue) -> bool:
    return isinstance(row, dict) and not any(isinstance(value, dict | list) for value in row.values())


def _rows_table(title: str, rows: JsonValue) -> CardTable:
    """Objects with the same keys as a table: a line each, a column a key."""
    named = rows.items() if isinstance(rows, dict) else ()
    items = [(name, row) for name, row in named if isinstance(row, dict)]
    columns = list(items[0][1])
    lines = [[name, *(_format_value(row[column]) for column in columns)] for name, row in items]
    return CardTable(title=title, columns=[title, *columns], rows=lines)


def _flatten_scalars(value: JsonValue, path: str = "") -> Iterator[tuple[str, str]]:
    """Numbers and words of nested objects by dotted path; tables and curves are for the manifest."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flatten_scalars(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, str | int | float):
        yield path, _format_value(value)


def _format_value(value: JsonValue) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _license_section(manifest: Manifest) -> str:
    license_ = manifest.license
    note = f" {license_.note}" if license_.note else ""
    others = [file.path for file in manifest.files if file.path not in {WEIGHTS, CARD, *CAPTIONS}]
    more = f"\n\nWith it: {', '.join(f'[{name}]({name})' for name in sorted(others))}." if others else ""
    return f"Weights: {license_.weights}. Training data: {license_.data}.{note}{more}"


def _markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_escape_cell, line))} |" for line in lines)


def _escape_cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")
