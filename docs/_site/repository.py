"""MkDocs hook: repository files that pages link to become part of the site.

Pages are written for readers of the repository, where ``docs/results.md`` links to
``../benchmarks/results/README.md``. In the site ``docs/`` is the root, and linked files from elsewhere keep
their repository paths below it; a linked folder becomes a page that lists its files.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
DOCS = "docs/"
FENCE = re.compile(r"(^```.*?^```)", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<=\]\()(?!\w+:|#|/)([^)\s#]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what pages link to, and what those files link to in turn."""
    queue = [DOCS + file.src_uri for file in files.documentation_pages()]
    queue += ["CONTRIBUTING.md", "CHANGELOG.md"]
    seen = set(queue)
    for path in queue:
        if not path.startswith(DOCS):
            files.append(make_file(path, config))
        found = [link for link in dict.fromkeys(find_links(path)) if link not in seen]
        seen.update(found)
        queue += [link for link in found if not link.startswith(DOCS)]
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links lead to where the files are in the site."""
    del config, files
    folder = posixpath.dirname(page.file.src_uri)
    source = page.file.src_uri if page.file.generated_by else DOCS + page.file.src_uri

    def move_link(match: re.Match[str]) -> str:
        target = resolve_link(source, match[1])
        return posixpath.relpath(to_site_path(target), folder or ".")

    parts = FENCE.split(markdown)
    return "".join(part if part.startswith("```") else LINK.sub(move_link, part) for part in parts)


def make_file(path: str, config: MkDocsConfig) -> File:
    """The site's file of a repository path."""
    if (ROOT / path).is_dir():
        return File.generated(config, to_site_path(path), content=list_folder(path))
    return File.generated(config, path, abs_src_path=str(ROOT / path))


def find_links(path: str) -> Iterator[str]:
    """Repository paths that a page or folder links to."""
    if (ROOT / path).is_dir():
        text = list_folder(path)
        path = posixpath.join(path, "index.md")
    elif path.endswith(".md"):
        text = FENCE.sub("", (ROOT / path).read_text(encoding="utf-8"))
    else:
        return
    for link in LINK.findall(text):
        target = resolve_link(path, link)
        if (ROOT / target).exists():  # MkDocs reports the others
            yield target


def list_folder(path: str) -> str:
    """A page with a link to each file of a folder."""
    names = sorted(item.name for item in (ROOT / path).iterdir() if item.is_file())
    return "\n".join([f"# {path}", "", *(f"- [{name}]({name})" for name in names)])


def resolve_link(source: str, link: str) -> str:
    """The repository path that a link in the file ``source`` leads to; a folder's README for the folder."""
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    readme = posixpath.join(path, "README.md")
    return readme if (ROOT / readme).is_file() else path


def to_site_path(path: str) -> str:
    """Where a repository path is in the site."""
    path = path.removeprefix(DOCS)
    return posixpath.join(path, "index.md") if (ROOT / path).is_dir() else path
