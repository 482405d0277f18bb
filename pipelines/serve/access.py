"""Who may use the endpoint: names that it answers to, sites whose pages may send to it, a bearer token.

A page of another site can send requests to a server on the visitor's own machine, and by a name of its own
that leads there (DNS rebinding) even read the answers. So requests are refused that come under another name,
and those that a page of another origin sends.
"""

import hmac
import ipaddress
import os
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from pipelines.core.errors import ConfigError
from pipelines.serve.config import ServeConfig
from pipelines.serve.errors import make_error

TOKEN_VARIABLE = "TUNABLE_SERVE_TOKEN"
SHORTEST_TOKEN = 16
PROBES = ("/livez", "/readyz")
"""What anybody may ask, by any name: a cluster's probes come by address."""
PUBLIC = ("/", "/docs", *PROBES)
"""What is given without a token: the page, which asks for it, and no more."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class AccessControl:
    """ASGI middleware that refuses requests under foreign names, from foreign pages, or without the token.

    Args:
        app: what it protects.
        hosts: names and addresses that the endpoint answers to.
        origins: of pages that may send requests beside its own, such as ``https://example.org``.
        token: that requests must carry; empty for none.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: tuple[str, ...], origins: tuple[str, ...] = (), token: str = ""
    ) -> None:
        self.app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward the request, or answer it with the reason why not."""
        refusal = self._find_refusal(scope) if scope["type"] == "http" else None
        await (refusal or self.app)(scope, receive, send)

    def _find_refusal(self, scope: Scope) -> Response | None:
        headers, path = Headers(scope=scope), scope["path"]
        host = headers.get("host", "")
        if path in PROBES:
            return None
        if _name_of(host) not in self._hosts:
            message = (
                f"this endpoint does not answer to {host[:80]!r}; start it with --allowed-host for that name"
            )
            return make_error(403, "host_not_allowed", message)
        origin = headers.get("origin", "").lower()
        if origin and origin not in self._origins and urlsplit(origin).netloc != host.lower():
            message = (
                f"a page of {origin[:80]} may not send requests here; start with --allowed-origin for it"
            )
            return make_error(403, "origin_not_allowed", message)
        if self._token and not _is_public(path) and not self._has_token(headers):
            message = "expected the header 'Authorization: Bearer TOKEN' with this endpoint's token"
            return make_error(401, "unauthorized", message, {"WWW-Authenticate": "Bearer"})
        return None

    def _has_token(self, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), self._token)


def read_token(config: ServeConfig) -> str:
    """The token that requests must carry: of ``token_file``, or ``$TUNABLE_SERVE_TOKEN``; empty for none.

    Raises:
        ConfigError: the file cannot be read, the token is too short or not of one line of ASCII, or there is
            none though others can reach the endpoint.
    """
    token = os.environ.get(TOKEN_VARIABLE, "")
    if config.token_file is not None:
        try:
            token = Path(config.token_file).expanduser().read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"serve.token_file: cannot read {config.token_file}: {error}") from error
    if token and (len(token) < SHORTEST_TOKEN or not token.isascii() or len(token.split()) != 1):
        raise ConfigError(
            f"expected a token of {SHORTEST_TOKEN} or more ASCII characters without spaces, got one of "
            f"{len(token)}; openssl rand -hex 16 makes one"
        )
    if not token and not is_loopback(config.host) and not config.no_auth:
        raise ConfigError(
            f"other machines can reach {config.host}: name a file with a token by --token-file, set "
            f"{TOKEN_VARIABLE}, or say --no-auth"
        )
    return token


def list_hosts(config: ServeConfig) -> tuple[str, ...]:
    """Names that an endpoint answers to."""
    own = () if config.host in ("0.0.0.0", "::") else (config.host,)
    return (*LOOPBACK, *own, *config.allowed_hosts)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _name_of(host: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _is_public(path: str) -> bool:
    return path in PUBLIC or path.startswith("/docs/")
