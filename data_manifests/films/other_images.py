"""`other_images`: pictures that are no upright frontal chest film, to fit and to test the guard.

Films spoilt in ways that happen (inverted, turned, a cut-out, small on a large page) and drawings
of things that are no film (text, noise, blank, shapes, ramps, clouds). All from a seed; nothing is
read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np

from data_manifests.support.arrays import Floats32

Pixels = Floats32
SIDE = 256  # of drawn pictures, px
LETTERS = "abcdefghijklmnopqrstuvwxyz    "
CLOUD_SLOPES = (0.8, 1.8)  # of the amplitude spectrum; photographs have about 1 (Field 1987)
CUT_SHARES = (0.2, 0.5)  # of the film's sides: a cut-out that no longer shows both lungs


def other_images(
    films: Sequence[Pixels], *, each: int, rng: np.random.Generator
) -> dict[str, list[Pixels]]:
    """`each` pictures of every kind, float32 (H, W) in [0, 1]; spoilt ones from random `films`."""
    made = {
        kind: [spoil(films[int(index)], rng) for index in rng.integers(0, len(films), each)]
        for kind, spoil in SPOILT.items()
    }
    drawn = {**DRAWN, **SCENES}
    return made | {kind: [draw(rng) for _ in range(each)] for kind, draw in drawn.items()}


def _cut(film: Pixels, rng: np.random.Generator) -> Pixels:
    share = rng.uniform(*CUT_SHARES)
    height, width = (max(1, int(side * share)) for side in film.shape)
    top = int(rng.integers(0, film.shape[0] - height + 1))
    left = int(rng.integers(0, film.shape[1] - width + 1))
    return film[top : top + height, left : left + width]


def _small_on_a_page(film: Pixels, rng: np.random.Generator) -> Pixels:
    height, width = film.shape
    page = np.full((3 * height, 3 * width), rng.random(), np.float32)
    page[height : 2 * height, width : 2 * width] = film
    return page


def _text(rng: np.random.Generator) -> Pixels:
    page = np.full((SIDE * 5 // 4, SIDE), 255, np.uint8)
    step, font, size = int(rng.integers(12, 30)), int(rng.integers(0, 4)), rng.uniform(0.3, 0.8)
    for line in range(step, len(page), step):
        words = "".join(rng.choice(list(LETTERS), int(rng.integers(10, 40))))
        cv2.putText(page, words, (8, line), font, float(size), 0, 1)
    return _either_way(page.astype(np.float32) / np.float32(255), rng)


def _noise(rng: np.random.Generator) -> Pixels:
    grain = 2 ** int(rng.integers(2, 9))
    noise = rng.normal(size=(grain, grain)).astype(np.float32)
    return _stretched(cv2.resize(noise, (SIDE, SIDE)).astype(np.float32))


def _blank(rng: np.random.Generator) -> Pixels:
    level = rng.random() + rng.normal(0, rng.choice([0.0, 0.01]), (SIDE, SIDE))
    return np.clip(level, 0, 1).astype(np.float32)


def _shapes(rng: np.random.Generator) -> Pixels:
    page = np.full((SIDE, SIDE), rng.random(), np.float32)
    for _ in range(int(rng.integers(1, 9))):
        x, y = (int(value) for value in rng.integers(0, SIDE, 2))
        axes = tuple(int(value) for value in rng.integers(5, SIDE // 2, 2))
        angle, grey = float(rng.uniform(0, 180)), float(rng.random())
        cv2.ellipse(page, (x, y), axes, angle, 0, 360, grey, -1)
    return cv2.GaussianBlur(page, (0, 0), float(rng.uniform(0.5, 6))).astype(np.float32)


def _ramp(rng: np.random.Generator) -> Pixels:
    y, x = np.mgrid[0 : 1 : SIDE * 1j, 0 : 1 : SIDE * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    return _stretched((np.cos(angle) * x + np.sin(angle) * y).astype(np.float32))


def _clouds(rng: np.random.Generator) -> Pixels:
    """Noise with the spectrum of photographs, 1 / frequency."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE), indexing="ij"))
    frequency[0, 0] = 1
    spectrum = np.fft.fft2(rng.normal(size=(SIDE, SIDE))) / frequency ** rng.uniform(*CLOUD_SLOPES)
    clouds = np.fft.ifft2(spectrum).real.astype(np.float32)
    return _stretched(np.clip(clouds, *np.quantile(clouds, (0.01, 0.99))))


def _stretched(pixels: Pixels) -> Pixels:
    low, high = float(pixels.min()), float(pixels.max())
    return (pixels - low) / max(high - low, 1e-6)


def _either_way(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return pixels if rng.random() < 0.5 else 1 - pixels


SPOILT: Mapping[str, Callable[[Pixels, np.random.Generator], Pixels]] = {
    "inverted": lambda film, _: 1 - film,
    "turned left": lambda film, _: np.ascontiguousarray(np.rot90(film)),
    "turned right": lambda film, _: np.ascontiguousarray(np.rot90(film, 3)),
    "upside down": lambda film, _: np.ascontiguousarray(np.rot90(film, 2)),
    "cut-out": _cut,
    "small on a page": _small_on_a_page,
}
DRAWN: Mapping[str, Callable[[np.random.Generator], Pixels]] = {
    "text": _text,
    "noise": _noise,
    "blank": _blank,
    "shapes": _shapes,
    "ramp": _ramp,
}
# For the film guard; the lung network learned with the drawings above alone.
SCENES: Mapping[str, Callable[[np.random.Generator], Pixels]] = {"clouds": _clouds}
