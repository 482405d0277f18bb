"""Decoded pictures that clients have sent once, to restore them at many settings."""

from collections import OrderedDict
from threading import Lock

from pipelines.serve.errors import RequestError
from zoo import Picture


class KeptPictures:
    """Pictures by the SHA-256 of their files, in bounded memory: what was not used for longest goes first.

    Args:
        max_bytes: of pixels, profiles and metadata together.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._pictures: OrderedDict[str, Picture] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    @property
    def used_bytes(self) -> int:
        """What is taken of ``max_bytes``."""
        return self._bytes

    def keep(self, digest: str, picture: Picture) -> None:
        """Keep a picture, in the place of others if need be.

        Raises:
            RequestError: 413, it is larger than all of the memory for pictures.
        """
        size = _count_bytes(picture)
        if size > self.max_bytes:
            message = (
                f"the picture takes {size / 2**20:.0f} MiB decoded, and {self.max_bytes / 2**20:.0f} MiB are "
                "kept at most; send it with each request"
            )
            raise RequestError(message, status=413, code="too_large_to_keep")
        with self._lock:
            self._remove(digest)
            self._pictures[digest] = picture
            self._bytes += size
            while self._bytes > self.max_bytes:
                self._remove(next(iter(self._pictures)))

    def find(self, digest: str) -> Picture | None:
        """The picture of that digest, if it is kept; it then stays for longer."""
        with self._lock:
            if digest in self._pictures:
                self._pictures.move_to_end(digest)
            return self._pictures.get(digest)

    def get(self, digest: str) -> Picture:
        """The picture of that digest.

        Raises:
            RequestError: 410, it is not kept, or not any more.
        """
        picture = self.find(digest)
        if picture is None:
            message = f"no picture with the SHA-256 {digest} is kept here: send it by PUT /v1/images/{digest}"
            raise RequestError(message, status=410, code="image_gone")
        return picture

    def _remove(self, digest: str) -> None:
        picture = self._pictures.pop(digest, None)
        if picture is not None:
            self._bytes -= _count_bytes(picture)


def _count_bytes(picture: Picture) -> int:
    metadata = picture.metadata
    blocks = (picture.profile or b"", metadata.exif, metadata.xmp, metadata.iptc)
    return picture.pixels.nbytes + sum(map(len, blocks))
