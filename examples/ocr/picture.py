"""Pictures: a line of text drawn with a font, or a file."""
import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

FONT = Path("/usr/share/fonts/truetype/liberation/LiberationSerif-Regular.ttf")
SIZE_PX, MARGIN_PX = 30, 16
MULTIPLE_PX = 32  # of the picture's sides, so that the detection network sees it unscaled


def draw_text(text):
    """One line of printable ASCII, black on white: uint8 [height, width, 3] RGB."""
    if not text.strip() or not all(" " <= character <= "~" for character in text):
        raise ValueError("the text must be a line of printable ASCII characters")
    if not FONT.exists():
        raise FileNotFoundError(f"{FONT}: font not found; run ./dev setup")
    font = ImageFont.truetype(str(FONT), SIZE_PX)
    left, top, right, bottom = font.getbbox(text)
    width, height = (-(-(side + 2 * MARGIN_PX) // MULTIPLE_PX) * MULTIPLE_PX for side in (right - left, bottom - top))
    picture = Image.new("RGB", (width, height), "white")
    corner = (MARGIN_PX - left, (height - bottom + top) // 2 - top)
    ImageDraw.Draw(picture).text(corner, text, font=font, fill="black")
    return np.asarray(picture)


def random_line(seed):
    """Invented words and numbers with a little punctuation."""
    draw = random.Random(seed)

    def word():
        letters = "".join(draw.choice("bcdfghkmnprstvwz") + draw.choice("aeiou") for _ in range(draw.randint(2, 3)))
        return letters.capitalize() if draw.random() < 0.3 else letters

    def number():
        return draw.choice([str(draw.randint(2, 9999)), f"{draw.randint(2, 99)}.{draw.randint(1, 9)}"])

    words = [word() if draw.random() < 0.7 else number() for _ in range(draw.randint(3, 5))]
    marks = [draw.choice(["", "", "", ":", ","]) for _ in words[:-1]] + [""]
    return " ".join(text + mark for text, mark in zip(words, marks))


def load(path):
    return np.asarray(Image.open(path).convert("RGB"))


def save(path, picture):
    Image.fromarray(picture).save(path)
