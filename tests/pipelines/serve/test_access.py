"""Who may use the endpoint: names, origins, tokens."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zoo
from pipelines.core.errors import ConfigError
from pipelines.serve.access import TOKEN_VARIABLE, is_loopback, read_token
from pipelines.serve.config import ServeConfig

TOKEN = "0123456789abcdef"
MODELS = "/v1/models"


def ask(client: Any, path: str = MODELS, method: str = "GET", **headers: str) -> int:
    [answer] = client.together([{"method": method, "url": path, "headers": headers}])
    if answer.status_code in (401, 403):
        assert set(answer.json()["error"]) == {"code", "message", "request_id"}
    return int(answer.status_code)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8000", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("zoo.example.org", 200),
        ("zoo.example.org:443", 200),
        ("evil.example.org", 403),
        ("localhost.evil.org", 403),
        ("127.0.0.1.evil.org:8000", 403),
        ("evil.org:localhost", 403),
        ("user@localhost", 200),  # a name that leads here, whatever stands before it
        ("", 403),
        ("[", 403),
        ("192.168.0.7:8000", 403),
    ],
)
def test_it_answers_to_its_own_names_alone(make_client: Callable[..., Any], host: str, status: int) -> None:
    client = make_client(allowed_hosts=("zoo.example.org",))
    assert ask(client, host=host) == status
    assert ask(client, "/docs/", host=host) == status
    assert ask(client, "/livez", host=host) == ask(client, "/readyz", host=host) == 200


def test_the_address_that_it_listens_on_is_a_name_of_it(make_client: Callable[..., Any]) -> None:
    assert ask(make_client(host="192.168.0.7"), host="192.168.0.7:8000") == 200
    assert ask(make_client(host="0.0.0.0"), host="0.0.0.0:8000") == 403


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:8000", 422),
        ("https://friend.example.org", 422),
        ("https://evil.example.org", 403),
        ("http://localhost:9000", 403),
        ("null", 403),
        ("", 422),
    ],
)
def test_pages_of_other_sites_send_nothing(
    make_client: Callable[..., Any], origin: str, status: int, photo: bytes
) -> None:
    client = make_client(allowed_origins=("https://friend.example.org/",))
    [answer] = client.together(
        [
            {
                "method": "POST",
                "url": f"{MODELS}/tiny:apply",
                "headers": {"host": "localhost:8000"} | ({"origin": origin} if origin else {}),
                "files": {"image": photo},
                "data": {"denoise": "much"},
            }
        ]
    )
    assert answer.status_code == status


def test_a_token_is_asked_for(model: zoo.Predictor, make_app_client: Callable[..., Any]) -> None:
    client = make_app_client(TOKEN)
    for path in (MODELS, f"{MODELS}/tiny", "/openapi.json", "/nowhere"):
        assert ask(client, path, host="localhost") == 401
        for wrong in ("Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN):
            assert ask(client, path, host="localhost", authorization=wrong) == 401
    assert ask(client, f"{MODELS}/tiny:apply", "POST", host="localhost") == 401
    for right in (f"Bearer {TOKEN}", f"bearer  {TOKEN}"):
        assert ask(client, host="localhost", authorization=right) == 200
    for path in ("/docs/", "/docs/page.js", "/livez", "/readyz"):
        assert ask(client, path, host="localhost") == 200
    assert ask(client, "/docs/../v1/models", host="localhost") in (401, 404)


def test_where_the_token_is_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    assert read_token(ServeConfig()) == ""
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    file = str(tmp_path / "token")
    assert read_token(ServeConfig(token_file=file)) == TOKEN
    monkeypatch.setenv(TOKEN_VARIABLE, "another-token-of-it")
    assert read_token(ServeConfig(host="0.0.0.0")) == "another-token-of-it"
    assert read_token(ServeConfig(token_file=file)) == TOKEN
    for wrong in ("short", "with a space in the middle", "ä" * 20):
        (tmp_path / "token").write_text(wrong)
        with pytest.raises(ConfigError, match="openssl rand -hex 16") as caught:
            read_token(ServeConfig(token_file=file))
        assert wrong not in str(caught.value)
    with pytest.raises(ConfigError, match="cannot read"):
        read_token(ServeConfig(token_file=f"{file}s"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.7", "example.org"])
def test_nobody_else_comes_in_unasked(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    with pytest.raises(ConfigError, match="--token-file"):
        read_token(ServeConfig(host=host))
    assert read_token(ServeConfig(host=host, no_auth=True)) == ""
    assert not is_loopback(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_the_loopback_needs_no_token(host: str) -> None:
    assert is_loopback(host)
