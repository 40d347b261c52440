"""`lung_films`: films with masks of lungs and heart, split by patient.

Three sources: COVID films (V7's masks: whole lungs, the part behind the heart too; no heart), JSRT
films (lungs without that part, and the heart) and phantom films (everything). Where a source does
not say what a pixel belongs to, the mask is unknown there:

- COVID: the whole heart;
- JSRT: for each lung, what lies between its inner edge and the midline, where it may lie behind the
  heart, and the heart on its own side.

COVID films have the splits of `open_manifests`, so that their test patients are those of the other
models. JSRT has one film a patient.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from data_manifests.films.read_film import read_film
from data_manifests.phantom.case import PhantomOptions, make_case, plan_case, render_anatomy
from data_manifests.support.arrays import Bools, Bytes, Floats32
from data_manifests.support.csv_file import read_text_csv
from data_manifests.support.errors import DataError, Problem
from detector.lungs.lung_fields import HEART, LEFT_LUNG, PARTS, RIGHT_LUNG
from detector.lungs.masked_films import MaskedFilms, masked_films, square_mask
from experiments.data.open_films import open_manifests

COVID, JSRT, PHANTOM = "covid", "jsrt", "phantom"
FOLDER, TABLE = "lung_masks", "metadata.csv"
JSRT_HELD_OUT = {"val": 0.1, "test": 0.2}
PHANTOM_FILMS = {"train": 120, "val": 20, "test": 40}  # each hospital's, of seeds 0, 1, 2
PHANTOM_SIZE = 256


@dataclass(frozen=True)
class LungFilm:
    """One film with its masks: `pixels` (H, W) in [0, 1]; `masks` (3, H, W), right lung, left lung,
    heart; `known` (3, H, W): where the mask says something."""

    image_id: str
    patient_id: str
    group: str
    split: str
    pixels: Floats32
    masks: Bools
    known: Bools


def lung_films(data: Path) -> list[LungFilm]:
    """All films with masks.

    Raises:
        DataError: a missing table, film or mask, or a mask of another size than its film.
    """
    return [*_masked_films(data), *phantom_lung_films()]


def at_training_size(films: list[LungFilm]) -> MaskedFilms:
    """The films as squares, for `train_lungs`."""
    return masked_films(
        [film.image_id for film in films],
        [film.group for film in films],
        [film.pixels for film in films],
        [
            np.array([square_mask(*pair) for pair in zip(film.masks, film.known, strict=True)])
            for film in films
        ],
    )


def phantom_lung_films() -> list[LungFilm]:
    """Phantom films of both hospitals with the lungs and hearts that they were drawn from."""
    films = []
    for seed, (split, count) in enumerate(PHANTOM_FILMS.items()):
        for domain in "AB":
            options = PhantomOptions(size=PHANTOM_SIZE, domain=domain, seed=seed)
            for index in range(count):
                body, _ = render_anatomy(options, index, plan_case(options, index))
                masks = np.array([*body.lungs, body.heart]) >= 0.5
                films.append(
                    LungFilm(
                        image_id=f"phantom-{domain}-{split}-{index}",
                        patient_id=f"phantom-{domain}-{split}-{index}",
                        group=PHANTOM,
                        split=split,
                        pixels=make_case(options, index).pixels.astype(np.float32)
                        / np.float32(255),
                        masks=masks,
                        known=np.ones_like(masks),
                    )
                )
    return films


def _masked_films(data: Path) -> list[LungFilm]:
    folder = data / FOLDER
    table = read_text_csv(folder / TABLE)
    covid = open_manifests(data).covid.images.set_index("image_id")["split"]
    films = []
    for row, film in enumerate(table.to_dict("records")):
        path = folder / film["image"]
        labels = _read_mask(folder / film["mask"])
        pixels = read_film(path).pixels
        if labels.shape != pixels.shape:
            raise DataError.from_problems(
                [
                    Problem(
                        file=str(folder / TABLE),
                        row=row + 2,
                        field="mask",
                        expected=f"a mask of the film's size {pixels.shape}",
                        got=str(labels.shape),
                    )
                ]
            )
        is_covid = PARTS[HEART] not in film["labels"]
        split = covid[path.stem] if is_covid else _jsrt_split(film["patient_id"])
        films.append(
            LungFilm(
                image_id=path.stem,
                patient_id=film["patient_id"],
                group=COVID if is_covid else JSRT,
                split=split,
                pixels=pixels,
                masks=np.array([labels == part for part in PARTS]),
                known=_covid_known(labels) if is_covid else jsrt_known(labels),
            )
        )
    return films


def _read_mask(path: Path) -> Bytes:
    try:
        with Image.open(path, formats=("PNG",)) as image:
            return np.asarray(image.convert("L"), np.uint8)
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path}: expected a PNG mask, got {error}") from error


def _covid_known(labels: Bytes) -> Bools:
    known = np.ones((len(PARTS), *labels.shape), np.bool_)
    known[HEART - 1] = False
    return known


def jsrt_known(labels: Bytes) -> Bools:
    """Where the parts are known (3, H, W).

    A lung is unknown between its inner edge and the middle between the lungs, and in the heart on
    its own side.
    """
    right, left = labels == RIGHT_LUNG, labels == LEFT_LUNG
    columns = np.arange(labels.shape[1])
    inner_right = np.where(right, columns, -1).max(axis=1)
    inner_left = np.where(left, columns, labels.shape[1]).min(axis=1)
    has_both = (inner_right >= 0) & (inner_left < labels.shape[1])
    between = (columns > inner_right[:, None]) & (columns < inner_left[:, None])
    unknown = (between & has_both[:, None]) | (labels == HEART)
    middle = np.median((inner_right + inner_left)[has_both]) / 2 if has_both.any() else 0.0
    known = np.ones((len(PARTS), *labels.shape), np.bool_)
    known[RIGHT_LUNG - 1] = ~(unknown & (columns <= middle))
    known[LEFT_LUNG - 1] = ~(unknown & (columns >= middle))
    return known


def _jsrt_split(patient_id: str) -> str:
    """By a hash of the patient: the same whatever films there are."""
    number = int.from_bytes(hashlib.sha256(patient_id.encode()).digest()[:8], "big") / 2**64
    if number < JSRT_HELD_OUT["test"]:
        return "test"
    return "val" if number < sum(JSRT_HELD_OUT.values()) else "train"
