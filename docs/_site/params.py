"""MkDocs hook: the page of options names every section of ``params.yaml`` that the code defines."""

import ast
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PAGE = "reference/params.md"
PARTS = {
    "prepare": "data",
    "train": "training",
    "train.task": "tasks",
    "search": "search",
    "evaluate": "evaluate",
    "publish": "publish",
    "serve": "serve",
}
"""Folders of ``pipelines`` by the part of ``params.yaml`` whose options they define."""
BASES = {"Section", "TaskOptions"}
ASIDE = {"TaskOptions", "GivenTask"}
"""Classes that hold no options of a file."""


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Add the sections to their page."""
    del config, files
    return "\n\n".join([markdown, *list_parts()]) if page.file.src_uri == PAGE else markdown


def list_parts() -> Iterator[str]:
    """Headings, and a directive of mkdocstrings for each class of options."""
    for part, folder in PARTS.items():
        yield f"## {part}"
        files = (ROOT / "pipelines" / folder).rglob("*.py")
        for path in sorted(files, key=lambda path: (path.name != "config.py", path)):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for name, fields in find_sections(path):
                members = ", ".join(fields)
                plain = "show_symbol_type_heading: false, show_symbol_type_toc: false"
                yield f"::: {module}.{name}\n    options: {{members: [{members}], {plain}}}"


def find_sections(path: Path) -> Iterator[tuple[str, list[str]]]:
    """A module's option classes with their options, the outermost first."""
    for node in reversed(ast.parse(path.read_text(encoding="utf-8")).body):
        if not isinstance(node, ast.ClassDef) or node.name in ASIDE:
            continue
        if BASES & set(map(ast.unparse, node.bases)):
            targets = [item.target for item in node.body if isinstance(item, ast.AnnAssign)]
            yield node.name, [target.id for target in targets if isinstance(target, ast.Name)]
