"""The model card: a README for people, written from the manifest alone."""

from collections.abc import Iterable, Iterator, Sequence

from pydantic import JsonValue

from zoo.manifest import Manifest


def render(manifest: Manifest) -> str:
    """Markdown about an entry.

    It mentions neither version, provenance nor files: it is one of the files that make the version.
    """
    sections = [
        f"# {manifest.name}",
        manifest.description,
        f"Task: {manifest.task}. Architecture: {_architecture(manifest)}.",
        _usage(manifest),
        f"## Controls\n\n{_controls(manifest)}",
        _results(manifest),
        f"## Licence\n\n{_license(manifest)}",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _architecture(manifest: Manifest) -> str:
    options = ", ".join(f"{key} {value}" for key, value in sorted(manifest.architecture.config.items()))
    return f"{manifest.architecture.id} ({options}), basis {manifest.basis}, scale {manifest.input.scale}"


def _usage(manifest: Manifest) -> str:
    space = manifest.control_space
    settings = ", ".join(f"{name}={value:g}" for name, value in space.defaults.items())
    return (
        "```python\nimport zoo\n\n"
        f'model = zoo.load("{manifest.name}")\n'
        f'restored = model("photo.png", {settings})\n```'
    )


def _controls(manifest: Manifest) -> str:
    rows = [
        (c.name, f"{c.low:g} to {c.high:g} {c.unit}".strip(), f"{c.default:g}", c.description)
        for c in manifest.control_space.controls
    ]
    return _table(("control", "range", "default", "turning it up"), rows)


def _results(manifest: Manifest) -> str:
    rows = sorted(_scalars(manifest.metrics.get("summary")))
    return f"## Results\n\n{_table(('metric', 'value'), rows)}" if rows else ""


def _scalars(value: JsonValue, path: str = "") -> Iterator[tuple[str, str]]:
    """Numbers and words of nested objects by dotted path; tables and curves are for the manifest."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _scalars(inner, f"{path}.{key}" if path else key)
    elif isinstance(value, float):
        yield path, f"{value:.4g}"
    elif isinstance(value, str | int):
        yield path, str(value)


def _license(manifest: Manifest) -> str:
    license_ = manifest.license
    note = f" {license_.note}" if license_.note else ""
    return f"Weights: {license_.weights}. Training data: {license_.data}.{note}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")
