"""The manual builds without a network, its links lead somewhere, and it has every public name and option."""

import os
import subprocess
import sys
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

import pipelines
import tunable_models
import zoo

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
LOADED = {"script": "src", "img": "src", "iframe": "src", "link": "href"}
"""What a browser fetches by itself; links of the text lead to other sites too."""


class Page(HTMLParser):
    """Links, fetched files and anchors of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attrs if value}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in LOADED and LOADED[tag] in values:
            self.loaded.append(values[LOADED[tag]])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Path, Page]:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(folder)]
    nowhere = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy")}
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | nowhere, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # 404.html is served for any address, so its links begin at the server's root.
    pages = [path for path in folder.rglob("*.html") if path.name != "404.html"]
    return {path: Page(path.read_text(encoding="utf-8")) for path in pages}


def test_links_lead_to_files_and_anchors(site: Mapping[Path, Page]) -> None:
    broken = []
    for path, page in site.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = path.parent.joinpath(unquote(parts.path)).resolve() if parts.path else path
            anchors = site[target].anchors if target in site else set()
            if not target.is_file() or (parts.fragment and unquote(parts.fragment) not in anchors):
                broken.append((path.name, link))
    assert broken == []


def test_pages_fetch_nothing_from_elsewhere(site: Mapping[Path, Page]) -> None:
    loaded = [link for page in site.values() for link in page.loaded]
    assert loaded
    assert [link for link in loaded if urlsplit(link).netloc] == []


def test_every_public_name_has_a_place(site: Mapping[Path, Page]) -> None:
    anchors = set().union(*(page.anchors for page in site.values()))
    names = {
        f"{package.__name__}.{name}"
        for package in (tunable_models, zoo, pipelines)
        for name in package.__all__
    }
    assert names - anchors == set()


def test_every_option_has_a_place(site: Mapping[Path, Page]) -> None:
    [page] = [page for path, page in site.items() if path.name == "params.html"]
    documented = {anchor.rpartition(".")[2] for anchor in page.anchors}
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert {option for section in params.values() for option in section} - documented == set()
