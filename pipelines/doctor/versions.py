"""Versions: what is installed against the floors of this package, and DVC where stages are versioned."""

import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from pipelines.core.layout import Layout
from pipelines.doctor.finding import About, Finding

ABOUT = About("versions")

PACKAGE = "tunable-zoo"
EXTRAS = ("", "pipelines")
"""What a run on the road needs; other extras are asked for by the commands that use them."""
SHOWN = ("torch", "ray", "mlflow", "dvc")


def versions() -> list[Finding]:
    """Every package of the road at its floor or above."""
    try:
        wanted = list(_requirements())
    except PackageNotFoundError:
        return [ABOUT.warning(f"{PACKAGE} is not installed: its floors are unknown", "pip install -e .")]
    faults = [fault for requirement in wanted if (fault := _below(requirement))]
    shown = ", ".join(f"{name} {version(name)}" for name in SHOWN if _installed(name))
    return faults or [
        ABOUT.ok(f"Python {platform.python_version()}, {shown}: all {len(wanted)} at their floors")
    ]


def dvc(layout: Layout) -> list[Finding]:
    """Whether DVC can run the stages of this work tree."""
    if not (layout.root / "dvc.yaml").exists():
        return [ABOUT.ok("no dvc.yaml here; all stages: tunable run all")]
    calls = (layout.root / "dvc.yaml").read_text(encoding="utf-8", errors="replace")
    wanted = ["dvc", *(["tunable"] if "tunable run" in calls else [])]
    missing = [command for command in wanted if shutil.which(command) is None]
    if missing:
        found = f"dvc.yaml is here, and not on PATH: {', '.join(missing)}"
        return [ABOUT.warning(found, "activate the environment where they are installed")]
    if not (layout.root / ".dvc").is_dir():
        return [ABOUT.warning("dvc.yaml is here, and no .dvc beside it", "run: dvc init")]
    return []


def _requirements() -> Iterator[Requirement]:
    for text in requires(PACKAGE) or []:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in EXTRAS):
            yield requirement


def _below(requirement: Requirement) -> Finding | None:
    remedy = f"pip install '{requirement.name}{requirement.specifier}'"
    found = _installed(requirement.name)
    if found is None:
        return ABOUT.fault(f"{requirement.name} is not installed", remedy)
    if not requirement.specifier.contains(found, prereleases=True):
        return ABOUT.fault(f"{requirement.name} {found} is not {requirement.specifier}", remedy)
    return None


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
