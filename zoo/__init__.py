"""The zoo: published tunable networks, found by name, verified and ready for any picture.

Example::

    import zoo

    model = zoo.load("denoise-deblur")
    restored = model("photo.png", denoise=0.8, deblur=0.3)
"""

from zoo.catalog import Report, default_stores, list_models, resolve, verify
from zoo.entry import Entry
from zoo.errors import (
    EntryExistsError,
    EntryNotFoundError,
    ImageError,
    ImageTooLargeError,
    IntegrityError,
    ManifestError,
    ZooError,
)
from zoo.images import read_image
from zoo.manifest import License, Manifest
from zoo.predictor import Predictor, load
from zoo.publishing import promote, publish
from zoo.storage import Store

__all__ = [
    "Entry",
    "EntryExistsError",
    "EntryNotFoundError",
    "ImageError",
    "ImageTooLargeError",
    "IntegrityError",
    "License",
    "Manifest",
    "ManifestError",
    "Predictor",
    "Report",
    "Store",
    "ZooError",
    "default_stores",
    "list_models",
    "load",
    "promote",
    "publish",
    "read_image",
    "resolve",
    "verify",
]
