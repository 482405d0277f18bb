"""A client of the endpoint, on the standard library alone: it retries, and sends a picture only once."""

import hashlib
import json
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from zoo.errors import EndpointError
from zoo.pictures.images import read_picture
from zoo.pictures.picture import Picture
from zoo.predictor import Region

BUSY = (429, 502, 503, 504)
"""What a server, or a proxy before it, answers that may answer well later."""
GONE = 410
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
MEDIA_TYPES = {"png": "image/png", "webp": "image/webp", "jpeg": "image/jpeg"}


@dataclass(frozen=True)
class Answer:
    """A restored picture as it came.

    Attributes:
        content: of its file.
        media_type: such as ``image/png``.
        values: of all sliders, in native units.
        version: of the model.
        request_id: in the server's log.

    Example:
        >>> answer = Answer(b"of a file", "image/png", {"noise": 15.0}, version="1.0.0", request_id="")
        >>> answer.save("restored.png")
    """

    content: bytes
    media_type: str
    values: dict[str, float]
    version: str
    request_id: str

    def save(self, path: str | Path) -> None:
        """Write the file."""
        Path(path).write_bytes(self.content)

    def picture(self) -> Picture:
        """The picture, decoded at full depth."""
        return read_picture(self.content)


class Client:
    """Restores pictures on an endpoint of ``tunable serve``; threads may share it.

    Requests that meet a busy or unreachable server are sent again, after the pause that it asks for, or one
    that doubles; restoring a picture twice gives the same picture. A picture is sent once, and then named by
    its hash until the server has let it go.

    Args:
        url: of the endpoint, with the prefix of a proxy if any.
        token: that it asks for.
        retries: how often a request is sent again.
        timeout_s: of a connection that is silent.

    Raises:
        EndpointError: the address is not one of http or https.

    Example:
        >>> client = Client("http://127.0.0.1:9", retries=0)
        >>> try:
        ...     client.apply("denoise", b"of a file", {"noise": 15}).save("restored.png")
        ... except EndpointError as error:
        ...     print(error)
        cannot reach http://127.0.0.1:9: ...; does it run?
    """

    def __init__(self, url: str, *, token: str = "", retries: int = 5, timeout_s: float = 300.0) -> None:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise EndpointError(f"expected an address such as http://127.0.0.1:8000, got {url!r}")
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._retries, self._timeout_s = retries, timeout_s
        # A redirect would carry the token elsewhere, and turn a POST into a GET.
        self._opener = build_opener(_NoRedirects)

    def list_models(self) -> list[dict[str, Any]]:
        """The served models: their sliders, limits and versions, as ``GET /v1/models`` says.

        Raises:
            EndpointError: it cannot be reached, or refuses.
        """
        models: list[dict[str, Any]] = json.loads(self._ask("GET", "/v1/models")[0])["models"]
        return models

    def apply(
        self,
        model: str,
        image: str | Path | bytes,
        values: Mapping[str, float] | None = None,
        *,
        region: Region | None = None,
        max_side: int | None = None,
        format: str = "png",
        quality: int | None = None,
        keep_metadata: bool = True,
    ) -> Answer:
        """Restore a picture.

        Args:
            model: its name.
            image: the path of a file, or its bytes.
            values: settings by name in native units; unset ones take their defaults.
            region: left, top, width and height of the part that is wanted, in pixels of the picture, upright.
            max_side: longest side of the answer in pixels; a larger one is reduced.
            format: ``png``, ``webp`` or ``jpeg``.
            quality: of webp and jpeg, 1 to 100; webp is lossless without it.
            keep_metadata: whether the answer has the metadata of the picture, and names the settings.

        Raises:
            EndpointError: it cannot be reached or refuses; ``status`` and ``code`` say what it answered.
            OSError: the file cannot be read.
        """
        if format not in MEDIA_TYPES:
            raise EndpointError(f"expected a format of {', '.join(MEDIA_TYPES)}, got {format!r}")
        content = image if isinstance(image, bytes) else Path(image).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        fields: dict[str, object] = {"image": digest, **(values or {})}
        if region is not None:
            fields["region"] = ",".join(map(str, region))
        if max_side is not None:
            fields["max_side"] = max_side
        if quality is not None:
            fields["quality"] = quality
        if not keep_metadata:
            fields["metadata"] = "none"
        path = f"/v1/models/{quote(model, safe='')}:apply"
        # Ray Serve gives requests of one session to one of its replicas: that which keeps the picture.
        session = {"X-Session-Id": digest}
        headers = {"Accept": MEDIA_TYPES[format], "Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(fields).encode()
        for attempt in range(self._retries + 1):
            try:
                made, answered = self._ask("POST", path, body, headers | session)
            except EndpointError as error:
                # Not kept, or in another replica.
                if error.status != GONE or attempt == self._retries:
                    raise
                self._ask(
                    "PUT", f"/v1/images/{digest}", content, {"Content-Type": "application/octet-stream"}
                )
            else:
                break
        return Answer(
            content=made,
            media_type=answered.get("Content-Type", ""),
            values=json.loads(answered.get("Tunable-Values", "{}")),
            version=answered.get("Tunable-Version", ""),
            request_id=answered.get("X-Request-Id", ""),
        )

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[bytes, HTTPMessage]:
        """The body and the headers of an answer."""
        request = Request(
            self.url + path, data=body, headers={**self._headers, **(headers or {})}, method=method
        )
        attempt, pause_s = 0, FIRST_PAUSE_S
        while True:
            try:
                with self._opener.open(request, timeout=self._timeout_s) as response:
                    return response.read(), response.headers
            except HTTPError as answer:
                with answer:
                    error, wait_s = _read_refusal(answer, f"{method} {self.url}{path}")
                if error.status not in BUSY:
                    raise error from None
            except (HTTPException, OSError) as fault:  # a connection that is cut ends in either
                reason = getattr(fault, "reason", fault)
                error, wait_s = EndpointError(f"cannot reach {self.url}: {reason}; does it run?"), None
            if attempt == self._retries:
                raise error
            attempt += 1
            # Clients that were refused together shall not come back together.
            time.sleep(wait_s if wait_s is not None else pause_s * random.uniform(0.5, 1.0))
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """See the base class: what it would send instead; nothing."""


def _read_refusal(answer: HTTPError, asked: str) -> tuple[EndpointError, float | None]:
    """The error of an answer, and for how many seconds it asks to wait."""
    text = answer.read(100_000).decode("utf-8", "replace")
    try:
        detail = json.loads(text)["error"]
        code, message = str(detail["code"]), str(detail["message"])
    except (ValueError, KeyError, TypeError):  # of a proxy
        code, message = "", text.strip()[:200] or str(answer.reason)
    after = answer.headers.get("Retry-After", "")
    error = EndpointError(f"{asked}: {answer.code}: {message}", status=answer.code, code=code)
    return error, min(float(after), LONGEST_PAUSE_S) if after.isdigit() else None
