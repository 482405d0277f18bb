import re
from typing import Any

import pytest

from pipelines.core.config import parse_section
from pipelines.core.errors import ConfigError
from pipelines.data.config import PrepareConfig


def parse(**values: Any) -> PrepareConfig:
    return parse_section(values, "prepare", PrepareConfig)


def test_defaults_are_a_whole_section() -> None:
    config = parse()
    assert (config.source, config.test_source, config.test_photos) == ("skimage", None, 1)


def test_test_photos_are_a_number_or_names() -> None:
    assert parse(test_photos=3).test_photos == 3
    assert parse(test_photos=["a.png", "b.png"]).test_photos == ("a.png", "b.png")


def test_validation_photos_are_a_number_or_names_or_none() -> None:
    assert parse().validation_photos == 0
    assert parse(validation_photos=["a.png"]).validation_photos == ("a.png",)


def test_places_may_be_urls() -> None:
    config = parse(source="s3://bucket/a", destination="gs://bucket/b", mirror="http://127.0.0.1:8000")
    assert (config.source, config.destination) == ("s3://bucket/a", "gs://bucket/b")


@pytest.mark.parametrize("option", ["source", "test_source", "destination", "mirror"])
@pytest.mark.parametrize(
    "url",
    [
        "https://user:SECRET@host/a",
        "https://user:SECRET@host:80/a?b#c",
        "https://SECRET@host/a",
        "http://:SECRET@host/a",
        "s3://KEY:SECRET@bucket/a",
        "s3://KEY:SEC/RET@bucket/a",
        "s3://KEY:SEC@RET@bucket/a",
        "ftp://user:123456SECRET@host/a",
        "zip://a::ftp://user:SECRET@host/a.zip",
    ],
)
def test_keys_in_a_url_are_refused_and_not_repeated(option: str, url: str) -> None:
    with pytest.raises(ConfigError, match=f"prepare.{option}") as told:
        parse(**{option: url})
    assert not {"SECRET", "SEC", "RET", "KEY", "123456"} & set(re.findall(r"\w+", str(told.value)))


def test_keys_are_not_repeated_whatever_else_is_wrong() -> None:
    for values in ({"source": "HTTPS://SECRET@host"}, {"mirror": "HTTPS://user:SECRET@host"}):
        with pytest.raises(ConfigError, match="//\\*\\*\\*@host") as told:
            parse(**values)
        assert "SECRET" not in str(told.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8000/a@b",
        "http://host:8000",
        "http://[::1]:8000/a@b",
        "https://host/a@b:c@d",
        "s3://bucket/2026:11@home",
        "abfs://container@account.dfs.core.windows.net/a",
        "sftp://user@host/a",
        "file:///data/a:b@c",
    ],
)
def test_an_at_sign_elsewhere_is_none(url: str) -> None:
    assert parse(source=url, destination=url).source == url
    if url.startswith("http"):
        assert parse(mirror=url).mirror == url


@pytest.mark.parametrize(
    "url", ["s3://bucket/sets", "file:///data/sets", "elsewhere", "http://", "https:/host/a"]
)
def test_a_mirror_is_reached_over_http_alone(url: str) -> None:
    with pytest.raises(
        ConfigError,
        match=r"prepare\.mirror",
    ):
        parse(mirror=url)


@pytest.mark.parametrize(
    "values",
    [
        {"source": ""},
        {"source": 3},
        {"test_source": ""},
        {"test_photos": 0},
        {"test_photos": []},
        {"test_photos": True},
        {"test_photos": 0.1},
        {"test_photos": "a.png"},
        {"validation_photos": -1},
        {"validation_photos": [""]},
        {"shard_mb": 0},
        {"destination": "a/folder"},
        {"destination": "s3://"},
        {"mirror": "elsewhere"},
        {"min_side_px": 0},
        {"min_side_px": 100, "max_side_px": 99},
        {"duplicate_distance": -1},
        {"max_unreadable_fraction": 1.5},
        {"seed": "0"},
        {"sauce": "skimage"},
    ],
)
def test_anything_else_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="prepare"):
        parse(**values)
