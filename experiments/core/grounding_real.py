"""`ground_real`: grounding on real films with boxes, and with masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from attributes.structure import Finding, Structurer
from data_manifests.boxes import iou_matrix
from data_manifests.laterality import SIDES, is_on_side, places_of
from data_manifests.support.arrays import Bools, Floats, Ints
from data_manifests.support.csv_file import read_text_csv
from data_manifests.support.errors import DataError
from data_manifests.tables.manifest import Manifest
from experiments.core.box_bundle import labelled_films
from experiments.data.box_films import FULL_FRAMES, box_films, without_first_bundle_patients
from experiments.data.dictation import dictate
from experiments.data.open_films import open_manifests
from experiments.methods.inputs import Progress, no_progress
from localize.bundle.bundle import load_bundle
from localize.bundle.packaged import PACKAGED_BUNDLE
from localize.grounding.film_anatomy import FilmAnatomy
from localize.grounding.ground_report import (
    GroundingRule,
    ScoredRegions,
    ground_finding,
    ground_report,
)
from localize.grounding.place_agreement import AgreementWeights, regions_of_words
from localize.grounding.report_sentences import ReportSentence, report_sentences
from localize.inference.ground_films import NMS_IOU, REGIONS, grounding_structurer, scored_regions
from localize.inference.model import Model

NAMED_IOU = 0.5
NO_BOX = np.zeros((0, 4))
# Tried on validation films; the first is taken where several are equal.
CANDIDATES = tuple(
    GroundingRule(AgreementWeights(zone_sd=zone, area_sd=area))
    for zone in (0.5, 0.3, 0.8)
    for area in (3.0, 1.5, 0.8)
)


@dataclass(frozen=True)
class RegionFilm:
    """A film with what the detector proposes and its true boxes (N, 4), film pixels."""

    patient: str
    anatomy: FilmAnatomy
    regions: ScoredRegions
    true: Floats


@dataclass(frozen=True)
class NamedBoxes:
    """S dictated sentences with a place.

    Args:
        named: (S,) the sentence's box overlaps a true box of its place with IoU .5.
        best: (S,) the film's best box does.
        best_any: (S,) the film's best box overlaps any true box with IoU .5.
        side_right: (S,) the sentence's box lies on the stated side; NaN without box or side.
        patients: (S,).
    """

    named: Floats
    best: Floats
    best_any: Floats
    side_right: Floats
    patients: Ints


def boxed_rsna(films: Manifest) -> Manifest:
    """The full frames of RSNA with boxes."""
    images = films.images
    boxed = images["image_id"].isin(set(films.boxes["image_id"]))
    return films.subset(images["source"].isin(FULL_FRAMES) & boxed)


def region_films(model: Model, films: Manifest) -> list[RegionFilm]:
    """The regions of every film.

    Raises:
        DataError: a film cannot be read.
    """
    boxes = films.boxes_by_image()
    found = model.film_regions(list(films.film_paths()), limit=REGIONS, nms_iou=NMS_IOU)
    rows = []
    for regions, patient, image_id in zip(
        found, films.images["patient_id"], films.images["image_id"], strict=True
    ):
        if isinstance(regions, DataError):
            raise regions
        anatomy = FilmAnatomy(regions.width, regions.height)
        scored = scored_regions(regions, model.bundle)
        rows.append(RegionFilm(str(patient), anatomy, scored, boxes.get(image_id, NO_BOX)))
    return rows


def choose_rule(films: Sequence[RegionFilm]) -> GroundingRule:
    """The candidate that finds most named boxes of validation films."""
    return max(CANDIDATES, key=lambda rule: float(ground_dictated(films, rule).named.mean()))


def ground_dictated(films: Sequence[RegionFilm], rule: GroundingRule) -> NamedBoxes:
    """Dictate each film's boxes and ground every sentence that states a place.

    The best box of a film, the one that is shown without a report, is its region with the highest
    score, moved by its neighbours as the sentence's box is.
    """
    structurer = grounding_structurer("en")
    rows: list[tuple[float, float, float, float]] = []
    owners: list[int] = []
    patients = sorted({film.patient for film in films})
    for film in films:
        width, height = film.anatomy.width, film.anatomy.height
        true = film.true[np.lexsort(film.true.T[::-1])]
        corners = [(x1, y1, x2, y2) for x1, y1, x2, y2 in true.tolist()]
        text = dictate(corners, width, height)
        named_places = [place.words() for place in places_of(true, width, height)]
        best = ground_finding("opacity", (), film.regions, film.anatomy, rule).xyxy
        for sentence in report_sentences([("", text)], structurer):
            for finding in sentence.findings:
                chosen = _dictated_boxes(finding, true, named_places, len(true) == 1)
                if chosen is None:
                    continue
                found = ground_finding(
                    finding.finding, finding.attributes, film.regions, film.anatomy, rule
                ).xyxy
                rows.append(
                    (
                        _hits(found[:1], true[chosen]),
                        _hits(best[:1], true[chosen]),
                        _hits(best[:1], true),
                        _side_right(found[:1], finding, width),
                    )
                )
                owners.append(patients.index(film.patient))
    columns = np.array(rows, np.float64).reshape(-1, 4).T
    named, best_hit, best_any, side = columns
    return NamedBoxes(named, best_hit, best_any, side, np.array(owners, np.int64))


def _dictated_boxes(
    finding: Finding, true: Floats, places: Sequence[str], is_single: bool
) -> Ints | None:
    """The true boxes whose place a dictated finding names; None for a sentence without a place."""
    if is_single:
        return np.array([0])
    words = regions_of_words(finding.attributes)
    if "multifocal" in finding.attributes or all(one.is_empty for one in words):
        return None
    zone = next(iter(words[0].zones), "")
    if zone == "perihilar":
        wanted = [k for k, place in enumerate(places) if "midline" in place]
    else:
        side = words[0].side
        name = f"{side} {zone} zone" if zone else f"{side} lung"
        wanted = [k for k, place in enumerate(places) if place == name]
    return np.array(wanted, np.int64) if wanted else None


def _hits(found: Floats, true: Floats) -> float:
    return float(len(found) > 0 and iou_matrix(found, true).max() >= NAMED_IOU)


def _side_right(found: Floats, finding: Finding, width: int) -> float:
    sides = [side for side in SIDES if side in finding.attributes]
    if len(sides) != 1 or not len(found):
        return np.nan
    return float(is_on_side(found, width, sides[0])[0])


@dataclass(frozen=True)
class NoteBoxes:
    """B grounded boxes of notes on films with a mask of opacity.

    Args:
        touches: (B,) the box holds a pixel of the mask.
        random_touches: (B,) a box of the same size anywhere in the film's lungs does, on average.
        patients: (B,).
        films: with a mask and a note.
        grounded: of them with a box.
    """

    touches: Floats
    random_touches: Floats
    patients: Ints
    films: int
    grounded: int


def ground_notes(model: Model, data: Path, rule: GroundingRule) -> NoteBoxes:
    """Ground the clinical notes of COVID films that have a mask of opacity."""
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
    structurer = grounding_structurer("en")
    touches, chance, owners, grounded = list[float](), list[float](), list[int](), 0
    patients = sorted(set(chosen.images["patient_id"]))
    for film, row in zip(
        region_films(model, chosen), chosen.images.to_dict("records"), strict=True
    ):
        mask = _read_mask(folder / masks[row["image_id"]], film.anatomy)
        boxes = _note_boxes(notes[row["study_id"]], film, structurer, rule)
        grounded += len(boxes) > 0
        for box in boxes:
            touches.append(float(mask[_window(box)].any()))
            chance.append(_chance(mask, box, film.anatomy))
            owners.append(patients.index(row["patient_id"]))
    return NoteBoxes(
        np.array(touches),
        np.array(chance),
        np.array(owners, np.int64),
        len(chosen.images),
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
    """Share of places in the average lungs where a box of this size touches the mask."""
    width, height = box[2] - box[0], box[3] - box[1]
    found = []
    for side in SIDES:
        lung = anatomy.lung_rectangle(side)
        for x in np.linspace(lung[0], lung[2], 8):
            for y in np.linspace(lung[1], lung[3], 8):
                moved = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
                found.append(mask[_window(anatomy.inside(moved))].any())
    return float(np.mean(found))


@dataclass(frozen=True)
class RealGrounding:
    """The rule chosen on validation films, and what it does on test films."""

    rule: GroundingRule
    named: NamedBoxes
    notes: NoteBoxes


def ground_real(
    data: Path, device: torch.device, *, progress: Progress = no_progress
) -> RealGrounding:
    """Choose the rule on RSNA's validation patients, then ground test films with the package's
    bundle.

    Raises:
        DataError: a missing table or a bad row.
    """
    model = Model(load_bundle(PACKAGED_BUNDLE), device=device)
    films = labelled_films(without_first_bundle_patients(box_films(data), data))
    progress("RSNA validation films")
    rule = choose_rule(region_films(model, boxed_rsna(films.split("val"))))
    progress("RSNA test films")
    named = ground_dictated(region_films(model, boxed_rsna(films.split("test"))), rule)
    progress("COVID films with notes and masks")
    return RealGrounding(rule, named, ground_notes(model, data, rule))
