"""Draws the pictures of a line of text under models/samples/.

`line-0.png` is upright, `line-180.png` is the same picture turned by 180 degrees.
Run as `python models/samples.py`; the font is the one that Pillow carries, so the
pictures do not depend on the fonts of the machine.
"""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

SAMPLES = Path(__file__).parent / "samples"
TEXT = "Hello, Tensorlet"
SIZE = 40
MARGIN = 10


def line():
    """Returns the upright picture: dark text on a light ground."""
    font = ImageFont.load_default(SIZE)
    left, top, right, bottom = font.getbbox(TEXT)
    size = (int(right - left) + 2 * MARGIN, int(bottom - top) + 2 * MARGIN)
    picture = Image.new("RGB", size, (250, 248, 240))
    ImageDraw.Draw(picture).text((MARGIN - left, MARGIN - top), TEXT, font=font, fill=(20, 30, 60))
    return picture


def main():
    upright = line()
    upright.save(SAMPLES / "line-0.png", optimize=True)
    upright.transpose(Image.Transpose.ROTATE_180).save(SAMPLES / "line-180.png", optimize=True)


if __name__ == "__main__":
    main()
