"""``tunable track``: sends what the tracking server missed, of every run of a work tree."""

from pathlib import Path

from pipelines.core.layout import Layout
from pipelines.tracking.courier import Courier
from pipelines.tracking.errors import TrackingError
from pipelines.tracking.folder import RunFolder
from pipelines.tracking.place import shown_uri
from pipelines.tracking.server import Server


def run(layout: Layout) -> None:
    """Bring every run that is behind to the tracking server, and say what became of each.

    Raises:
        TrackingError: some runs are still behind.
    """
    server, left = Server(layout.root), list[str]()
    for folder in _folders(layout.state):
        name, courier = folder.path.relative_to(layout.state).as_posix(), Courier(folder, server)
        try:
            line = _bring(folder, courier)
        except TrackingError as error:
            left.append(name)
            line = f"still behind, {courier.behind()}: {error}"
        print(f"{name}: {line}", flush=True)
    if left:
        raise TrackingError(
            f"expected {shown_uri(layout.root)} to take all runs, it did not take {', '.join(left)}; "
            "run this again when it answers"
        )


def _folders(state: Path) -> list[RunFolder]:
    # A search keeps the folders of its trials inside its own.
    plans = [plan for pattern in ("*", "*/*") for plan in state.glob(f"{pattern}/tracking.json")]
    return [RunFolder(plan.parent) for plan in sorted(plans)]


def _bring(folder: RunFolder, courier: Courier) -> str:
    behind = courier.behind()
    courier.deliver()
    return f"sent {behind}; run {folder.sent().run_id}" if behind else "all there"
