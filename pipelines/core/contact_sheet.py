"""Contact sheets: labelled pictures side by side, drawn without system fonts."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

Tile = tuple[str, Tensor]
"""A label, which may have several lines, and a picture (3, H, W), RGB; values are clamped to [0, 1]."""

MARGIN_PX = 6
PAPER, INK = "white", "#222222"

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def contact_sheet(
    rows: Sequence[Sequence[Tile]], *, titles: Sequence[str] = (), text_px: int = 13
) -> Image.Image:
    """Rows of pictures at true size, each with its label above it, in columns of one width.

    Args:
        rows: tiles from left to right, one a row at least; rows may differ in length.
        titles: a line above each row; none by default.
        text_px: size of the labels' letters.
    """
    font = ImageFont.load_default(size=text_px)
    cells = [[_cell(text, picture, font) for text, picture in row] for row in rows]
    width = max(cell.width for row in cells for cell in row)
    strips = [_beside(row, width) for row in cells]
    if titles:
        heading = ImageFont.load_default(size=text_px + 3)
        headings = [_text(title, heading) for title in titles]
        strips = [part for pair in zip(headings, strips, strict=True) for part in pair]
    return _framed(_below(strips))


def to_image(picture: Tensor) -> Image.Image:
    """A picture (3, H, W) as 8-bit RGB, clamped and rounded."""
    pixels = picture.detach().cpu().clamp(0, 1).mul(255).round().byte().permute(1, 2, 0)
    return Image.fromarray(pixels.contiguous().numpy())


def _cell(text: str, picture: Tensor, font: Font) -> Image.Image:
    return _below([_text(text, font), to_image(picture)], gap=MARGIN_PX // 2)


def _text(text: str, font: Font) -> Image.Image:
    ruler = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    _, _, right, bottom = ruler.multiline_textbbox((0, 0), text, font=font)
    image = Image.new("RGB", (max(1, int(right)), max(1, int(bottom))), PAPER)
    ImageDraw.Draw(image).multiline_text((0, 0), text, font=font, fill=INK)
    return image


def _beside(images: Sequence[Image.Image], column: int) -> Image.Image:
    """In columns of that width; lower edges meet, so that labels of unequal height do no harm."""
    height = max(image.height for image in images)
    strip = Image.new("RGB", (len(images) * (column + MARGIN_PX) - MARGIN_PX, height), PAPER)
    for index, image in enumerate(images):
        strip.paste(image, (index * (column + MARGIN_PX), height - image.height))
    return strip


def _below(images: Sequence[Image.Image], gap: int = 2 * MARGIN_PX) -> Image.Image:
    height = sum(image.height for image in images) + gap * (len(images) - 1)
    stack = Image.new("RGB", (max(image.width for image in images), height), PAPER)
    top = 0
    for image in images:
        stack.paste(image, (0, top))
        top += image.height + gap
    return stack


def _framed(image: Image.Image) -> Image.Image:
    frame = 2 * MARGIN_PX
    sheet = Image.new("RGB", (image.width + 2 * frame, image.height + 2 * frame), PAPER)
    sheet.paste(image, (frame, frame))
    return sheet
