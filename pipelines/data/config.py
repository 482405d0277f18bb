"""Options of the ``prepare`` stage: section ``prepare`` of ``params.yaml``."""

import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pipelines.core.config import Section

_HIDDEN = "://***@"

# A password before an @, which may contain a slash, but not a port; over http also a name alone, a token.
_KEYS = re.compile(
    r"://[^/?#:\[]*:(?!\d*(?:[/?#]|$)).*@|(?<=http)://[^/?#]*@|(?<=https)://[^/?#]*@", re.IGNORECASE
)


def _hide_keys(place: object) -> object:
    # Before any other check: error messages repeat the value.
    return _KEYS.sub(_HIDDEN, place) if isinstance(place, str) else place


def _refuse_keys(place: str) -> str:
    if _HIDDEN in place:
        raise ValueError(
            "expected a URL without user and password, which would be printed and recorded; give keys as the "
            "tools of that storage read them: in the environment or in their configuration files"
        )
    return place


def _require_web_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(
            "expected a URL that begins with http:// or https://, from which public sets are "
            "downloaded; to use a copy in other storage, name its folder as prepare.source"
        )
    return url


_WITHOUT_KEYS = (AfterValidator(_refuse_keys), BeforeValidator(_hide_keys))

PhotoName = Annotated[str, Field(min_length=1)]
Place = Annotated[str, Field(min_length=1), *_WITHOUT_KEYS]
Url = Annotated[str, Field(pattern="^[a-z][a-z0-9+.-]*://."), *_WITHOUT_KEYS]
WebUrl = Annotated[str, *_WITHOUT_KEYS, AfterValidator(_require_web_url)]


class PrepareConfig(Section):
    """Which photographs to use, and which of them to hold out."""

    machine = ("mirror", "processes")

    source: Place = "skimage"
    """Source of the photographs, searched with its sub-folders.

    - ``skimage``: the colour photographs inside the scikit-image package;
    - a public set by name, downloaded once: ``kodak``, ``bsds500`` (parts ``bsds500/train``, ``/val``,
      ``/test``), ``div2k`` (``div2k/train``, ``/valid``);
    - a URL that fsspec understands, such as ``s3://bucket/photos``;
    - else a folder, absolute or relative to the repository root (``./kodak`` for one of such a name)."""

    test_source: Place | None = None
    """Another such source, of the test photographs; all of ``source`` is then training data,
    except near duplicates of a test photograph. Without it, ``test_photos`` are held out."""

    test_photos: Annotated[int, Field(ge=1)] | Annotated[tuple[PhotoName, ...], Field(min_length=1)] = 1
    """How many photographs of ``source`` to hold out, or the names of those to hold out (paths
    below the source, with ``/``). Near duplicates of a named one are held out with it."""

    validation_photos: Annotated[int, Field(ge=0)] | tuple[PhotoName, ...] = 0
    """The same for the validation photographs: held out of ``source`` too, and never near duplicates of test
    photographs."""

    min_side_px: int = Field(default=128, ge=8)
    """Photographs with a shorter side than this are skipped."""

    max_side_px: int | None = Field(default=2048, ge=8)
    """Photographs with a longer side than this are scaled down to it; null keeps every size."""

    duplicate_distance: int = Field(default=8, ge=0, le=32)
    """Photographs whose 64-bit perceptual hashes differ in at most this many bits count as near
    duplicates and stay on one side of the split."""

    max_unreadable_fraction: float = Field(default=0.05, ge=0, le=1)
    """The stage fails above this share of unreadable files in a source, if there is more than one."""

    processes: Annotated[int, Field(ge=1)] | None = None
    """Processes that decode photographs at a time, each with a few of them in memory; null is one a core,
    fewer for few photographs. The result does not depend on it."""

    seed: int = 0
    """Decides which photographs are held out when ``test_photos`` or ``validation_photos`` is a number."""

    shard_mb: int = Field(default=1024, ge=1)
    """Approximate size of a shard of decoded training photographs, in MiB; sets are streamed by shard."""

    destination: Url | None = None
    """URL of a folder for the decoded training photographs, such as ``s3://bucket/prepared``, for sets larger
    than the local disk, which then holds one shard at a time. Null: ``artifacts/prepare``."""

    mirror: WebUrl | None = None
    """``http://`` or ``https://`` URL of a folder with a copy of the public sets, each in a folder of its
    name; null: their makers'."""

    license: str | None = Field(default=None, min_length=1, max_length=2000)
    """License of the training photographs, recorded with trained weights. Null: as stated by scikit-image or
    the makers of a public set, "not stated" for a folder or a URL."""

    @model_validator(mode="after")
    def _check_sides(self) -> Self:
        if self.max_side_px is not None and self.max_side_px < self.min_side_px:
            raise ValueError("max_side_px must be at least min_side_px")
        return self
