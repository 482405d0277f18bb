"""The errors of this package.

ZooError
├── EntryNotFoundError (LookupError)     no store has the entry, version or alias
├── EntryExistsError (FileExistsError)   the version is published already, with other content
├── ManifestError (ValueError)           a manifest or alias file that cannot be used, or may not be written
├── IntegrityError (ValueError)          files on disk are not what the manifest says, or do not fit it
├── FetchError (OSError)                 a zoo elsewhere cannot be reached, or sends other bytes than promised
│   └── NoZooError                       there is no zoo at an address that answers
├── EndpointError (OSError)              an endpoint cannot be reached, or refuses a request
├── EngineError (RuntimeError)           the requested engine is missing, or cannot run the network
└── ImageError (ValueError)              a picture that cannot be read, or is not one of the accepted kinds
    └── ImageTooLargeError           it has more pixels than allowed

Each takes one message: expected, got, what to do. That form survives pickling between processes.
"""


class ZooError(Exception):
    """Root of the errors raised on purpose by ``zoo``.

    Example:
        >>> try:
        ...     load("tiny@2.0.0", stores=[store])
        ... except ZooError as error:
        ...     print(error)
        no entry 'tiny@2.0.0'; tiny has ..., latest
    """


class EntryNotFoundError(ZooError, LookupError):
    """A reference that leads to no entry.

    Example:
        >>> try:
        ...     load("tinny", stores=[store])
        ... except EntryNotFoundError as error:
        ...     print(error)
        no entry 'tinny' in ...; did you mean 'tiny'?
    """


class EntryExistsError(ZooError, FileExistsError):
    """Entries are immutable: the same version cannot be published with other content.

    Example:
        >>> entry = promote("tiny", "1.0.0", target=store, stores=[store])
        >>> changed = entry.manifest.replace(description="Another text.")
        >>> try:
        ...     store.publish(entry.contents(), changed)
        ... except EntryExistsError as error:
        ...     print("refused:", error)
        refused: ...1.0.0 exists with other content; publish under another version
    """


class ManifestError(ZooError, ValueError):
    """A manifest, or a part of one, that is malformed, unknown to this version or not allowed.

    Example:
        >>> try:
        ...     Manifest.parse({"schema_version": 9})
        ... except ManifestError as error:
        ...     print(error)
        expected schema_version 1, got 9; a newer zoo may read it: pip install --upgrade tunable-zoo
    """


class IntegrityError(ZooError, ValueError):
    """An entry whose files were changed, added, lost or never belonged together.

    Example:
        >>> weights = store.open("tiny").folder / "model.safetensors"
        >>> _ = weights.write_bytes(b"cut short")
        >>> try:
        ...     verify("tiny", stores=[store])
        ... except IntegrityError as error:
        ...     print("refused:", error)
        refused: ...model.safetensors: expected ... bytes, got 9
    """


class FetchError(ZooError, OSError):
    """A zoo or a file elsewhere that cannot be reached, read or written, or that is not what was promised.

    Example:
        >>> try:
        ...     load("file:///nowhere/zoo/tiny@1.0.0")
        ... except FetchError as error:
        ...     print(error)
        expected a zoo or an entry at /nowhere/zoo/tiny, found none; check the address
    """


class NoZooError(FetchError):
    """An address that answers, without the index of a zoo.

    Example:
        >>> try:
        ...     RemoteZoo("memory://nowhere").pull("tiny")
        ... except NoZooError as error:
        ...     print(error)
        expected a zoo at memory://nowhere, found no index.json there; check the address
    """


class EndpointError(ZooError, OSError):
    """An endpoint that cannot be reached, or that refuses a request.

    Attributes:
        status: of its answer; 0 where there was none.
        code: what it says is wrong, such as ``invalid_slider``; empty where it does not say.

    Example:
        >>> try:
        ...     Client("localhost:8000")
        ... except EndpointError as error:
        ...     print(error, error.status)
        expected an address such as http://127.0.0.1:8000, got 'localhost:8000' 0
    """

    def __init__(self, message: str, *, status: int = 0, code: str = "") -> None:
        super().__init__(message)
        self.status, self.code = status, code


class EngineError(ZooError, RuntimeError):
    """An engine that is not installed, or cannot run this network, device or picture.

    Example:
        >>> try:
        ...     load("tiny", stores=[store], engine="onnx", device="cuda")
        ... except EngineError as error:
        ...     print(error)
        the onnx engine computes on the CPU, got device cuda; say engine='torch'
    """


class ImageError(ZooError, ValueError):
    """A picture that is unreadable, too large or of an unsupported kind.

    Example:
        >>> try:
        ...     read_image(b"not a picture")
        ... except ImageError as error:
        ...     print(error)
        cannot read the image: expected one of AVIF, BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP, got none
    """


class ImageTooLargeError(ImageError):
    """A picture with more pixels than the caller allows; an endpoint answers 413 rather than 422.

    Example:
        >>> from PIL import Image
        >>> Image.new("RGB", (48, 32)).save("photo.png")
        >>> try:
        ...     read_image("photo.png", max_pixels=1000)
        ... except ImageTooLargeError as error:
        ...     print(error)
        expected at most 1,000 pixels, got 48 x 32 = 1,536; make the picture smaller or raise max_pixels
    """
