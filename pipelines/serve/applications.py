"""Applications of a shared Ray cluster: one for each model, with its name and route; a file of them.

Ray Serve sends a request to the application with the longest prefix of whole path segments, so a model's URL,
``/v1/models/NAME:apply``, is the prefix itself, and the rest of its endpoint is below that: ``.../docs/``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from starlette.types import ASGIApp, Receive, Scope, Send

from pipelines.serve.app import APPLY
from pipelines.serve.config import ServeConfig
from pipelines.serve.proxy import CALLBACK

BUILDER = "pipelines.serve.server:build_application"
"""What ``serve deploy`` calls on the cluster, once for each model."""
MIDDLEWARES = "pipelines.serve.proxy.list_shared_middlewares"
HEAD = """\
# Models of tunable-zoo as applications of Ray Serve: serve deploy {name}
# Every node needs the package, and the folders under `entry`. `serve deploy` replaces what an earlier file
# deployed, also applications that this one does not name.
"""


def name_application(model: str) -> str:
    """The name of a model's application."""
    return f"tunable-{model}"


def find_prefix(model: str) -> str:
    """The route prefix of a model's application."""
    return f"/v1/models/{model}{APPLY}"


class AtPrefix:
    """ASGI middleware that gives an app behind a route prefix the paths that it has at the root.

    Args:
        app: the app of one model.
        prefix: its route prefix, which is also the path in the app that pictures are sent to.
    """

    def __init__(self, app: ASGIApp, *, prefix: str) -> None:
        self.app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request with its path below the prefix."""
        if scope["type"] == "http":
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            scope = {**scope, "path": path or self._prefix, "root_path": ""}
        await self.app(scope, receive, send)


def write_deploy_file(path: Path, entries: Mapping[str, Path], config: ServeConfig) -> None:
    """Write what ``serve deploy`` takes: an application for each model.

    Args:
        path: of the file, which is replaced.
        entries: each model's name and the folder of its entry.
        config: address, limits and resources of each application.
    """
    options = config.model_dump(mode="json", exclude_defaults=True, exclude={"address"})
    if config.token_file is not None:
        options["token_file"] = str(Path(config.token_file).expanduser().resolve())
    document: dict[str, Any] = {
        "proxy_location": "HeadOnly",
        "http_options": {
            "host": config.host,
            "port": config.port,
            "request_timeout_s": config.longest_request_s,
        },
        "controller_options": {"runtime_env": {"env_vars": {CALLBACK: MIDDLEWARES}}},
        "applications": [
            {
                "name": name_application(name),
                "route_prefix": find_prefix(name),
                "import_path": BUILDER,
                "args": {"model": name, "entry": str(folder), "options": options},
            }
            for name, folder in entries.items()
        ],
    }
    text = HEAD.format(name=path.name) + yaml.safe_dump(document, sort_keys=False)
    path.write_text(text, encoding="utf-8")
