"""Contact sheets: rows of labeled pictures, drawn without system fonts."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

Tile = tuple[str, Tensor]
"""A label of one or more lines, and an RGB picture (3, H, W) whose values are clamped to [0, 1]."""

MARGIN_PX = 6
PAPER, INK = "white", "#222222"

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def contact_sheet(
    rows: Sequence[Sequence[Tile]], *, titles: Sequence[str] = (), text_px: int = 13
) -> Image.Image:
    """Draw rows of pictures at full size, each below its label, in columns of equal width.

    Args:
        rows: tiles from left to right, at least one a row; rows may differ in length.
        titles: a line above each row, if any.
        text_px: size of the labels' letters.
    """
    font = ImageFont.load_default(size=text_px)
    cells = [[_draw_cell(text, picture, font) for text, picture in row] for row in rows]
    width = max(cell.width for row in cells for cell in row)
    strips = [_place_beside(row, width) for row in cells]
    if titles:
        heading = ImageFont.load_default(size=text_px + 3)
        headings = [_draw_text(title, heading) for title in titles]
        strips = [part for pair in zip(headings, strips, strict=True) for part in pair]
    return _add_frame(_place_below(strips))


def to_image(picture: Tensor) -> Image.Image:
    """Convert a picture (3, H, W) to 8-bit RGB, clamped and rounded."""
    pixels = picture.detach().cpu().clamp(0, 1).mul(255).round().byte().permute(1, 2, 0)
    return Image.fromarray(pixels.contiguous().numpy())


def _draw_cell(text: str, picture: Tensor, font: Font) -> Image.Image:
    return _place_below([_draw_text(text, font), to_image(picture)], gap=MARGIN_PX // 2)


def _draw_text(text: str, font: Font) -> Image.Image:
    ruler = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    _, _, right, bottom = ruler.multiline_textbbox((0, 0), text, font=font)
    image = Image.new("RGB", (max(1, int(right)), max(1, int(bottom))), PAPER)
    ImageDraw.Draw(image).multiline_text((0, 0), text, font=font, fill=INK)
    return image


def _place_beside(images: Sequence[Image.Image], column: int) -> Image.Image:
    """Place images in columns of that width, aligned at the bottom because labels differ in height."""
    height = max(image.height for image in images)
    strip = Image.new("RGB", (len(images) * (column + MARGIN_PX) - MARGIN_PX, height), PAPER)
    for index, image in enumerate(images):
        strip.paste(image, (index * (column + MARGIN_PX), height - image.height))
    return strip


def _place_below(images: Sequence[Image.Image], gap: int = 2 * MARGIN_PX) -> Image.Image:
    height = sum(image.height for image in images) + gap * (len(images) - 1)
    stack = Image.new("RGB", (max(image.width for image in images), height), PAPER)
    top = 0
    for image in images:
        stack.paste(image, (0, top))
        top += image.height + gap
    return stack


def _add_frame(image: Image.Image) -> Image.Image:
    frame = 2 * MARGIN_PX
    sheet = Image.new("RGB", (image.width + 2 * frame, image.height + 2 * frame), PAPER)
    sheet.paste(image, (frame, frame))
    return sheet
