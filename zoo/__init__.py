"""The zoo: published tunable networks, found by name, verified and ready for any picture.

In the examples ``store`` is a :class:`Store` that holds one entry, ``tiny``, with one slider, ``denoise``:
what the example of :func:`publish` leaves there. Entries that come with the package need no store.

Example:
    >>> import zoo
    >>> model = zoo.load("tiny", stores=[store])
    >>> model(torch.rand(3, 32, 48), denoise=0.8).shape
    torch.Size([3, 32, 48])
"""

from zoo.catalog import Report, default_stores, list_models, pull, resolve, verify
from zoo.client import Answer, Client
from zoo.comparison import Difference, diff_entries
from zoo.entry import Entry
from zoo.errors import (
    EndpointError,
    EngineError,
    EntryExistsError,
    EntryNotFoundError,
    FetchError,
    ImageError,
    ImageTooLargeError,
    IntegrityError,
    ManifestError,
    NoZooError,
    ZooError,
)
from zoo.gallery import write_gallery
from zoo.manifest import License, Manifest
from zoo.mapper import Mapper
from zoo.pictures.images import read_image, read_pages, read_picture
from zoo.pictures.picture import Pages, Picture
from zoo.predictor import Predictor, load
from zoo.publishing import promote, publish
from zoo.remote.remote_zoo import RemoteZoo
from zoo.search import FoundModel, search_models
from zoo.storage import Store

__all__ = [
    "Answer",
    "Client",
    "Difference",
    "EndpointError",
    "EngineError",
    "Entry",
    "EntryExistsError",
    "EntryNotFoundError",
    "FetchError",
    "FoundModel",
    "ImageError",
    "ImageTooLargeError",
    "IntegrityError",
    "License",
    "Manifest",
    "ManifestError",
    "Mapper",
    "NoZooError",
    "Pages",
    "Picture",
    "Predictor",
    "RemoteZoo",
    "Report",
    "Store",
    "ZooError",
    "default_stores",
    "diff_entries",
    "list_models",
    "load",
    "promote",
    "publish",
    "pull",
    "read_image",
    "read_pages",
    "read_picture",
    "resolve",
    "search_models",
    "verify",
    "write_gallery",
]
