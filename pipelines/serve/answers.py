"""The form of an answer: which format a client accepts, and the restored picture as a file of it."""

from collections.abc import Iterator, Sequence

from pipelines.serve.apply_request import Options
from pipelines.serve.errors import RequestError
from zoo import ImageError, Picture
from zoo.pictures.formats import BY_NAME, Format

FORMATS = {
    "image/png": BY_NAME["PNG"],
    "image/webp": BY_NAME["WEBP"],
    "image/jpeg": BY_NAME["JPEG"],
    # What generated clients, which know no pictures, ask for.
    "application/octet-stream": BY_NAME["PNG"],
}
"""By media type, the preferred one first."""

PNG_LEVEL = 1
"""Higher levels save a few percent of a photograph and take several times as long."""


def negotiate_types(accept: str, quality: int | None) -> list[str]:
    """The media types that a client accepts, in the order of its preference.

    Args:
        accept: the header, with q-values; an empty one accepts everything.
        quality: of a lossy format, if one is asked for.

    Raises:
        RequestError: 406 none that is written here; 422 a quality, and none that has one.
    """
    ranges = [*_parse_ranges(accept or "*/*")]
    weights = {kind: _find_weight(kind, ranges) for kind in FORMATS}
    accepted = sorted((kind for kind in FORMATS if weights[kind] > 0), key=lambda kind: -weights[kind])
    if not accepted:
        message = f"expected Accept to allow one of {', '.join(FORMATS)}, got {accept[:120]!r}"
        raise RequestError(message, status=406, code="not_acceptable")
    if quality is not None:
        if FORMATS[accepted[0]].lossy is None:
            message = "quality is for image/jpeg and image/webp: ask for one of them by the header Accept"
            raise RequestError(message, status=422, code="invalid_option")
        return [kind for kind in accepted if FORMATS[kind].lossy is not None]
    return accepted


def encode_answer(
    picture: Picture, accepted: Sequence[str], options: Options, software: str
) -> tuple[bytes, str]:
    """The picture as a file of the first accepted format that holds it.

    Args:
        picture: the restored one.
        accepted: of :func:`negotiate_types`.
        options: of the request.
        software: model and settings, noted in the EXIF.

    Returns:
        The file, and its media type.

    Raises:
        RequestError: 406, none of the formats holds it.
    """
    metadata = picture.metadata
    metadata = metadata.stripped() if options.metadata == "none" else metadata.naming(software)
    picture = Picture(picture.pixels, picture.profile, metadata)
    kind = _choose_type(picture, accepted)
    return FORMATS[kind].encode(picture, quality=options.quality, level=PNG_LEVEL), kind


def _choose_type(picture: Picture, accepted: Sequence[str]) -> str:
    reasons = list[str]()
    for kind in accepted:
        try:
            _check_fit(FORMATS[kind], picture)
        except ImageError as error:
            reasons.append(str(error))
        else:
            return kind
    raise RequestError("; ".join(dict.fromkeys(reasons)), status=406, code="not_acceptable")


def _check_fit(form: Format, picture: Picture) -> None:
    form.fit(picture.kind, picture.size)
    if picture.metadata.is_hdr and form.name != "PNG":
        raise ImageError(f"{form.name} holds no HDR, which the picture's file says it is; accept image/png")


def _parse_ranges(accept: str) -> Iterator[tuple[str, float]]:
    """Media ranges of an Accept header and their q-values; one that is malformed counts as 0."""
    for part in accept.split(","):
        kind, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            name, _, text = parameter.partition("=")
            if name.strip() == "q":
                try:
                    weight = float(text)
                except ValueError:
                    weight = 0.0
        yield kind, weight if 0 <= weight <= 1 else 0.0


def _find_weight(kind: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The q-value of a media type: that of the most specific range."""
    for wanted in (kind, f"{kind.partition('/')[0]}/*", "*/*"):
        found = [weight for name, weight in ranges if name == wanted]
        if found:
            return max(found)
    return 0.0
