"""What the model card and the model registry say of ``summary.json`` of the evaluation."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from zoo import Manifest

Table = dict[str, Any]
"""``title``, ``columns`` and ``rows`` of text, as ``zoo.publish`` takes them under ``metrics["tables"]``."""


def make_tables(summary: Mapping[str, Any]) -> list[Table]:
    """The tables of a summary that ``evaluate`` wrote; those that a task has no numbers for are left out."""
    tables = [
        _quality_table(summary),
        _sliders_table(summary),
        _vertices_table(summary),
        _matched_table(summary),
    ]
    return [table for table in tables if table["rows"]]


def describe_version(manifest: Manifest, summary: Mapping[str, Any]) -> str:
    """A published version for the page of a model registry, in Markdown."""
    space, licence = manifest.control_space, manifest.license
    sliders = [
        f"- `{c.name}` {c.low:g} to {c.high:g} {c.unit}".rstrip() + f": {c.description}"
        for c in space.controls
    ]
    tables = [_format_markdown(table) for table in make_tables(summary)]
    terms = f"Weights {licence.weights}, data {licence.data}. {licence.note}".strip()
    use = f'```python\nmodel = zoo.load("{manifest.name}@{manifest.version}")\n```'
    return "\n\n".join([manifest.description, "\n".join(sliders), *tables, terms, use]).strip()


def _format_markdown(table: Table) -> str:
    rows = [table["columns"], ["---"] * len(table["columns"]), *table["rows"]]
    return "\n".join([f"**{table['title']}**", "", *(f"| {' | '.join(row)} |" for row in rows)])


def _quality_table(summary: Mapping[str, Any]) -> Table:
    """Quality of the input and of the output at the default settings."""
    # Distances of a random trunk are not comparable.
    names = [
        "psnr",
        "ssim",
        *(["lpips"] if "random" not in str(summary.get("lpips_trunk", "random")) else []),
    ]
    given = [_format_number(summary.get(f"{name}_input")) for name in names]
    default = summary.get("default", {})
    made = [_format_number(default.get("lpips" if name == "lpips" else f"{name}_clean")) for name in names]
    rows = [["input", *given]] + ([["output, sliders at their defaults", *made]] if default else [])
    return _make_table(
        f"To the clean photographs: {_describe_degradation(summary)}",
        ["", *(name.upper() + (", dB" if name == "psnr" else "") for name in names)],
        rows if any(given) else [],
    )


def _sliders_table(summary: Mapping[str, Any]) -> Table:
    ranges = summary.get("sliders", {}).get("range_db", {})
    counts = summary.get("monotonicity", {})
    rows = [
        [
            label.replace("_", " "),
            _format_number(rise),
            f"{counts[label]['violations']} of {counts[label]['pairs']}",
        ]
        for label, rise in ranges.items()
        if label in counts
    ]
    columns = ["slider", "rise of its own metric from end to end, dB", "steps on which it falls"]
    return _make_table(f"What each slider does: {_describe_degradation(summary)}", columns, rows)


def _vertices_table(summary: Mapping[str, Any]) -> Table:
    rows = [
        [name.replace("_", " "), _format_number(row.get("psnr_own")), _format_number(row.get("psnr_clean"))]
        for name, row in summary.get("vertices", {}).items()
        if row.get("psnr_own") is not None
    ]
    columns = ["sliders up", "PSNR to their target, dB", "PSNR to the clean photograph, dB"]
    return _make_table("At the ends of the sliders", columns, rows)


def _matched_table(summary: Mapping[str, Any]) -> Table:
    rows = [
        [
            f"{row['control']} {row['value']:g}",
            _format_number(row["psnr_input"]),
            _format_number(row["psnr_matched"]),
            f"{row['best_value']:g}",
        ]
        for row in summary.get("matched", {}).get("positions", [])
    ]
    columns = [
        "the photograph has",
        "PSNR of the input, dB",
        "PSNR of the output at that setting, dB",
        "best slider",
    ]
    return _make_table("At the true strength of the degradation", columns, rows)


def _describe_degradation(summary: Mapping[str, Any]) -> str:
    """Such as ``4 photographs, noise sigma 25, blur sigma 1.5``."""
    levels = [f"{name.replace('_', ' ')} {value:g}" for name, value in summary.get("levels", {}).items()]
    return ", ".join([f"{summary.get('photographs', 0)} photographs", *levels])


def _make_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    return {"title": title, "columns": list(columns), "rows": [list(row) for row in rows]}


def _format_number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float | int) else ""
