"""PNG pictures of the films with their boxes drawn in, for slides and papers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from data_manifests.films.read_film import read_film
from localize.formats.hub.annotations import Annotations, FilmAnnotation
from localize.formats.hub.film_names import SafeNames, film_file
from localize.formats.hub.format_options import FormatOptions
from localize.formats.hub.writing import atomic_folder

Colour = tuple[int, int, int]
# From a low to a high score, seen apart by colour-blind readers and on grey.
LOW, HIGH = (86, 180, 233), (230, 120, 0)
PERSON = (0, 200, 120)  # a box that a person drew
LINE_SHARE, TEXT_SHARE = 1 / 300, 1 / 40  # of the film's longer side


def write_overlays(annotations: Annotations, target: Path, options: FormatOptions) -> None:
    """Write one PNG a film in its full size; a film without boxes is shown as it is.

    Raises:
        DataError: a film's file is missing or cannot be read; `target` is not empty.
    """
    names = SafeNames(annotations.film_names())
    with atomic_folder(target) as folder:
        for film in annotations:
            file = film_file(film.name, film.path, options.image_root)
            path = folder / f"{names.of(film.name)}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            _overlay(film, read_film(file).pixels).save(path, "PNG")


def _overlay(film: FilmAnnotation, pixels: np.ndarray) -> Image.Image:
    """The film in 8 bits with outlines, and label and score above each box."""
    levels = np.rint(pixels.clip(0, 1) * 255).astype(np.uint8)
    picture = Image.fromarray(levels).convert("RGB")
    draw = ImageDraw.Draw(picture)
    side = max(film.width, film.height)
    line = max(1, round(side * LINE_SHARE))
    size = max(10, round(side * TEXT_SHARE))
    font = ImageFont.load_default(size)
    # The best box last, so that it lies on top.
    for box in reversed(range(len(film))):
        x1, y1, x2, y2 = film.xyxy[box].tolist()
        colour = _colour(film.score(box))
        draw.rectangle((x1, y1, x2 - 1, y2 - 1), outline=colour, width=line)
        text = _caption(film, box)
        place = (x1 + line, y1 - size * 1.2 if y1 > size * 1.3 else y1 + line)
        draw.text(place, text, fill=colour, font=font, stroke_width=line, stroke_fill=(0, 0, 0))
    return picture


def _caption(film: FilmAnnotation, box: int) -> str:
    score = film.score(box)
    label = film.labels[box].encode("ascii", "replace").decode("ascii")  # what the font can show
    return label if score is None else f"{label} {score:.2f}"


def _colour(score: float | None) -> Colour:
    if score is None:
        return PERSON
    mixed = [round(low + (high - low) * score) for low, high in zip(LOW, HIGH, strict=True)]
    return mixed[0], mixed[1], mixed[2]
