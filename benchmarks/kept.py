"""Where reports go: numbers for programs, and a page for people."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.durable import replace_file


def keep(report: Mapping[str, Any], folder: Path, name: str, page: str | None = None) -> None:
    """Write ``<name>.json``, and print and write ``<name>.md`` if there is a page."""
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / f"{name}.json", (json.dumps(report, indent=2) + "\n").encode())
    if page is not None:
        print(page)
        replace_file(folder / f"{name}.md", page.encode())
