"""`ground_notes`: real clinical notes grounded on COVID films with a mask of opacity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from attributes.structure import Structurer
from data_manifests.laterality import SIDES
from data_manifests.support.arrays import Bools, Floats, Ints
from data_manifests.support.csv_file import read_text_csv
from experiments.data.open_films import open_manifests
from experiments.grounding.real import RegionFilm, on_average_film, region_films
from localize.grounding.film_anatomy import FilmAnatomy
from localize.grounding.ground_report import GroundingRule, ground_report
from localize.grounding.report_sentences import ReportSentence, report_sentences
from localize.inference.ground_films import grounding_structurer
from localize.inference.model import Model


@dataclass(frozen=True)
class NoteBoxes:
    """B grounded boxes of notes on films with a mask of opacity.

    Args:
        touches: (B,) the box holds a pixel of the mask.
        inside: (B,) share of the box under the mask.
        random_touches: (B,) a box of the same size anywhere in the film's lungs does, on average.
        patients: (B,).
        films: with a mask and a note.
        grounded: of them with a box.
    """

    touches: Floats
    inside: Floats
    random_touches: Floats
    patients: Ints
    films: int
    grounded: int


@dataclass(frozen=True)
class NoteComparison:
    """Notes grounded with the film's own lungs, and with the average ones."""

    lungs: NoteBoxes
    average: NoteBoxes


@dataclass(frozen=True)
class NoteFilm:
    """A film with its regions, the mask of its opacity (height, width) and its note."""

    film: RegionFilm
    mask: Bools
    note: str


def ground_notes(model: Model, data: Path, rule: GroundingRule) -> NoteComparison:
    """Ground the clinical notes of COVID films that have a mask of opacity.

    Raises:
        DataError: a missing table, or a film that cannot be read.
    """
    folder = data / "covid_chestxray"
    films = open_manifests(data).covid
    table = read_text_csv(folder / "metadata.csv")
    masks: Mapping[str, str] = {
        Path(image).stem: mask
        for image, mask in zip(table["image"], table["opacity_mask"], strict=True)
        if mask
    }
    notes = dict(zip(films.reports["study_id"], films.reports["text"], strict=True))
    images = films.images
    chosen = films.subset(images["image_id"].isin(set(masks)) & images["study_id"].isin(set(notes)))
    found = region_films(model, chosen)
    rows = chosen.images.to_dict("records")

    def note_films(shown: Sequence[RegionFilm]) -> list[NoteFilm]:
        return [
            NoteFilm(
                film,
                _read_mask(folder / masks[row["image_id"]], film.anatomy),
                notes[row["study_id"]],
            )
            for film, row in zip(shown, rows, strict=True)
        ]

    return NoteComparison(
        score_notes(note_films(found), rule), score_notes(note_films(on_average_film(found)), rule)
    )


def score_notes(films: Sequence[NoteFilm], rule: GroundingRule) -> NoteBoxes:
    """The boxes of each note's opacities against the mask."""
    structurer = grounding_structurer("en")
    patients = sorted({one.film.patient for one in films})
    touches, inside, chance = list[float](), list[float](), list[float]()
    owners, grounded = list[int](), 0
    for one in films:
        boxes = _note_boxes(one.note, one.film, structurer, rule)
        grounded += len(boxes) > 0
        for box in boxes:
            covered = one.mask[_window(box)]
            touches.append(float(covered.any()))
            inside.append(float(covered.mean()))
            chance.append(_chance(one.mask, box, one.film.anatomy))
            owners.append(patients.index(one.film.patient))
    return NoteBoxes(
        np.array(touches),
        np.array(inside),
        np.array(chance),
        np.array(owners, np.int64),
        len(films),
        grounded,
    )


def _note_boxes(note: str, film: RegionFilm, structurer: Structurer, rule: GroundingRule) -> Floats:
    """The distinct boxes of a note's opacities."""
    sentences: list[ReportSentence] = report_sentences([("", note)], structurer)
    rows = ground_report(sentences, film.regions, film.anatomy, rule)
    boxes = [one.xyxy for one in rows if "detector" in one.methods]
    return np.unique(np.concatenate(boxes), axis=0) if boxes else np.zeros((0, 4))


def _read_mask(path: Path, anatomy: FilmAnatomy) -> Bools:
    with Image.open(path) as picture:
        resized = picture.convert("L").resize(
            (anatomy.width, anatomy.height), Image.Resampling.NEAREST
        )
    return np.asarray(resized) > 0


def _window(box: Floats) -> tuple[slice, slice]:
    x1, y1, x2, y2 = np.round(box).astype(int).tolist()
    return slice(y1, max(y2, y1 + 1)), slice(x1, max(x2, x1 + 1))


def _chance(mask: Bools, box: Floats, anatomy: FilmAnatomy) -> float:
    """Share of places in the lungs where a box of this size touches the mask."""
    width, height = box[2] - box[0], box[3] - box[1]
    found = []
    for side in SIDES:
        lung = anatomy.lung_rectangle(side)
        for x in np.linspace(lung[0], lung[2], 8):
            for y in np.linspace(lung[1], lung[3], 8):
                moved = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
                found.append(mask[_window(anatomy.inside(moved))].any())
    return float(np.mean(found))
