"""Tracking: the MLflow server answers, or its file can be written. A run goes on without either."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import urlopen

from pipelines.core.layout import Layout
from pipelines.doctor.finding import About, Finding
from pipelines.tracking import tracking_uri
from pipelines.tracking.place import without_secrets

ABOUT = About("tracking")
TIMEOUT_S = 3.0
SQLITE = "sqlite:///"
REMEDY = "training goes on without it; start the server, or correct MLFLOW_TRACKING_URI"


def tracking(layout: Layout) -> list[Finding]:
    """Whether runs can be tracked where they are meant to be."""
    uri = tracking_uri(layout.root)
    if uri.startswith(SQLITE):
        return _file(Path(uri.removeprefix(SQLITE)))
    if urlsplit(uri).scheme in ("http", "https"):
        return _server(uri)
    return [ABOUT.ok(f"MLFLOW_TRACKING_URI is a {urlsplit(uri).scheme or 'file'} address; not asked")]


def _file(path: Path) -> list[Finding]:
    if not path.exists():
        return [ABOUT.ok(f"{path} will be made")]
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=TIMEOUT_S)) as database:
            database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        return [ABOUT.warning(f"{path}: {error}", f"training goes on without it; move {path.name} away")]
    return [ABOUT.ok(f"{path} answers")]


def _server(uri: str) -> list[Finding]:
    place = urlsplit(uri)
    shown = without_secrets(uri)
    bare = f"{place.scheme}://{place.netloc.rpartition('@')[2]}{place.path.rstrip('/')}"
    try:
        with urlopen(f"{bare}/health", timeout=TIMEOUT_S):
            pass
    except HTTPError as error:
        if error.code in (401, 403):
            return [ABOUT.ok(f"{shown} answers, and asks who you are")]
        return [ABOUT.warning(f"{shown} answers {error.code} when asked for its health", REMEDY)]
    except (URLError, OSError) as error:
        return [ABOUT.warning(f"{shown} does not answer: {getattr(error, 'reason', error)}", REMEDY)]
    return [ABOUT.ok(f"{shown} answers")]
