from pathlib import Path

import pytest

from pipelines.errors import ConfigError
from pipelines.search.identity import claim

WANTED = {"search": {"space": {"lr": [0.1]}}, "photos": "a", "code": "c"}


def test_the_same_search_goes_on(tmp_path: Path) -> None:
    claim(tmp_path, WANTED)
    claim(tmp_path, WANTED)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"search": {"space": {"lr": [0.2]}}}, r"search\.space\.lr was \[0\.1\], is \[0\.2\]"),
        ({"search": {"space": {}}}, r"search\.space\.lr was \[0\.1\], is not there"),
        ({"photos": "b"}, "the training photographs changed"),
        ({"code": "d"}, "the training code changed"),
    ],
)
def test_another_one_is_refused_and_told_what_differs(
    tmp_path: Path, change: dict[str, object], said: str
) -> None:
    claim(tmp_path, WANTED)
    with pytest.raises(ConfigError, match=said):
        claim(tmp_path, WANTED | change)
    claim(tmp_path, WANTED)  # and it is as it was
