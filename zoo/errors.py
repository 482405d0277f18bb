"""The errors of this package.

ZooError
├── EntryNotFoundError (LookupError)     no store has the entry, version or alias
├── EntryExistsError (FileExistsError)   the version is published already, with other content
├── ManifestError (ValueError)           a manifest or alias file that cannot be used, or may not be written
├── IntegrityError (ValueError)          files on disk are not what the manifest says, or do not fit it
└── ImageError (ValueError)              a picture that cannot be read, or is not one of the accepted kinds
    └── ImageTooLargeError           it has more pixels than allowed

Each takes one message: expected, got, what to do. That form survives pickling between processes.
"""


class ZooError(Exception):
    """Root of the errors raised on purpose by ``zoo``."""


class EntryNotFoundError(ZooError, LookupError):
    """A reference that leads to no entry."""


class EntryExistsError(ZooError, FileExistsError):
    """Entries are immutable: the same version cannot be published with other content."""


class ManifestError(ZooError, ValueError):
    """A manifest, or a part of one, that is malformed, unknown to this version or not allowed."""


class IntegrityError(ZooError, ValueError):
    """An entry whose files were changed, added, lost or never belonged together."""


class ImageError(ZooError, ValueError):
    """A picture that is unreadable, too large or of an unsupported kind."""


class ImageTooLargeError(ImageError):
    """A picture with more pixels than the caller allows; an endpoint answers 413 rather than 422."""
