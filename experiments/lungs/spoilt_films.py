"""`spoilt_rows`: what the lung fields become on films that are turned, cut, badly exposed or none.

Held-out films of known masks, each changed in one way, and pictures that show no chest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from sklearn.datasets import load_sample_images

from data_manifests.films.other_images import DRAWN
from data_manifests.support.arrays import Bools, Floats32
from detector.lungs.lung_fields import LEFT_LUNG, RIGHT_LUNG, LungFields
from detector.lungs.segment import LungSegmenter
from experiments.data.lung_films import LungFilm
from experiments.lungs.dice import dice_of

DRAWN_EACH = 20
PHOTO_CUTS = 50  # random parts of each photograph
WHITE = 0.95  # opacity of a white-out


@dataclass(frozen=True)
class SpoiltRow:
    """One kind of picture: shares with both lungs, with one, with none; where `reason` says that
    the film is turned; mean Dice of the found lungs against the masks, changed alike."""

    kind: str
    pictures: int
    both: float
    one: float
    none: float
    said_turned: float
    dice_right: float | None
    dice_left: float | None


def spoilt_rows(
    segmenter: LungSegmenter, films: Sequence[LungFilm], *, seed: int
) -> list[SpoiltRow]:
    """A row for each kind; the first is the films as they are."""
    rows = []
    for kind, change in CHANGES.items():
        changed = [change(film) for film in films]
        fields = [segmenter.fields(film.pixels) for film in changed]
        rows.append(_row(kind, fields, changed))
    for kind, pictures in _no_films(np.random.default_rng(seed)).items():
        rows.append(_row(kind, [segmenter.fields(picture) for picture in pictures], []))
    return rows


def _row(kind: str, fields: Sequence[LungFields], films: Sequence[LungFilm]) -> SpoiltRow:
    complete = np.array([one.is_complete for one in fields])
    found = np.array([one.is_found for one in fields])
    pairs = list(zip(fields, films, strict=True)) if films else []
    means = []
    for part in (RIGHT_LUNG, LEFT_LUNG):
        values = [dice_of(o, film, part) for o, film in pairs if o.score_of(part) is not None]
        means.append(float(np.nanmean(values)) if values else None)
    return SpoiltRow(
        kind=kind,
        pictures=len(fields),
        both=float(complete.mean()),
        one=float((found & ~complete).mean()),
        none=float((~found).mean()),
        said_turned=float(np.mean(["seems to be" in one.reason for one in fields])),
        dice_right=means[0],
        dice_left=means[1],
    )


def _moved(film: LungFilm, move: Callable[[Floats32], Floats32]) -> LungFilm:
    """Film and masks changed alike."""

    def moved(stack: Bools) -> Bools:
        return np.array([move(one.astype(np.float32)) > 0.5 for one in stack])

    pixels = np.ascontiguousarray(move(film.pixels))
    return replace(film, pixels=pixels, masks=moved(film.masks), known=moved(film.known))


def _exposed(film: LungFilm, change: Callable[[Floats32], Floats32]) -> LungFilm:
    return replace(film, pixels=change(film.pixels).clip(0, 1).astype(np.float32))


def _mirrored(film: LungFilm) -> LungFilm:
    """As it is displayed: the lung on the left of the picture is called the right one."""
    turned = _moved(film, lambda one: one[:, ::-1])
    order = [1, 0, 2]
    return replace(turned, masks=turned.masks[order], known=turned.known[order])


def _middle(share: float) -> Callable[[LungFilm], LungFilm]:
    """The middle part of a film, with `share` of its sides."""

    def cut(one: Floats32) -> Floats32:
        height, width = one.shape
        top, left = (round(side * (1 - share) / 2) for side in (height, width))
        return one[top : height - top, left : width - left]

    return lambda film: _moved(film, cut)


def _framed(film: LungFilm) -> LungFilm:
    """With a black border of a quarter of each side."""

    def pad(one: Floats32) -> Floats32:
        padded: Floats32 = np.pad(one, [(side // 4, side // 4) for side in one.shape])
        return padded

    framed = _moved(film, pad)
    beyond = pad(np.ones_like(film.pixels)) == 0
    return replace(framed, known=framed.known | beyond)


def _leaning(angle: float) -> Callable[[LungFilm], LungFilm]:
    """Turned about its centre by an angle in degrees; beyond the film it is black."""

    def lean(one: Floats32) -> Floats32:
        height, width = one.shape
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
        return cv2.warpAffine(one, matrix, (width, height)).astype(np.float32)

    return lambda film: _moved(film, lean)


def _white(part: int) -> Callable[[LungFilm], LungFilm]:
    """With one lung as white as the brightest fifth of the film."""

    def paint(film: LungFilm) -> LungFilm:
        lung = film.masks[part - 1].astype(np.float32)
        soft = cv2.GaussianBlur(lung, (0, 0), film.pixels.shape[0] / 50) * np.float32(WHITE)
        level = np.float32(np.quantile(film.pixels, 0.8))
        return replace(film, pixels=film.pixels * (1 - soft) + level * soft)

    return paint


def _no_films(rng: np.random.Generator) -> Mapping[str, list[Floats32]]:
    """Drawings, whose kinds the training knows, and parts of two photographs, which it does not."""
    photos = [photo.mean(axis=2).astype(np.float32) / 255 for photo in load_sample_images().images]
    cuts = []
    for photo in photos:
        for _ in range(PHOTO_CUTS):
            side = int(rng.integers(100, min(photo.shape)))
            top, left = (int(rng.integers(0, length - side + 1)) for length in photo.shape)
            cuts.append(photo[top : top + side, left : left + side])
    drawn = [draw(rng) for draw in DRAWN.values() for _ in range(DRAWN_EACH)]
    return {"parts of photographs": cuts, "drawings": drawn}


CHANGES: Mapping[str, Callable[[LungFilm], LungFilm]] = {
    "as they are": lambda film: film,
    "leaning by 10°": _leaning(10),
    "leaning by 20°": _leaning(20),
    "middle 80 %": _middle(0.8),
    "middle 60 %": _middle(0.6),
    "black border of a quarter": _framed,
    "a tenth of the exposure": lambda film: _exposed(film, lambda p: p * np.float32(0.1)),
    "half of the contrast": lambda film: _exposed(
        film, lambda p: p * np.float32(0.5) + np.float32(0.25)
    ),
    "right lung white": _white(RIGHT_LUNG),
    "left lung white": _white(LEFT_LUNG),
    "mirrored": _mirrored,
    "inverted": lambda film: _exposed(film, lambda p: np.float32(1) - p),
    "turned to the left": lambda film: _moved(film, np.rot90),
    "turned to the right": lambda film: _moved(film, lambda one: np.rot90(one, 3)),
    "upside down": lambda film: _moved(film, lambda one: np.rot90(one, 2)),
}
