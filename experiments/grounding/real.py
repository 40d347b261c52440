"""`ground_boxed`: grounding of sentences dictated from the boxes of real films."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from attributes.structure import Finding
from data_manifests.boxes import iou_matrix
from data_manifests.laterality import SIDES, WHOLE_FILM, LungBorders, is_on_side, places_of
from data_manifests.support.arrays import Floats, Ints
from data_manifests.support.errors import DataError
from data_manifests.tables.manifest import Manifest
from experiments.core.box_bundle import labelled_films
from experiments.data.box_films import TEST_GROUPS, box_films, without_first_bundle_patients
from experiments.data.dictation import dictate
from experiments.methods.inputs import Progress, no_progress
from localize.grounding.film_anatomy import FilmAnatomy
from localize.grounding.ground_report import (
    GroundingRule,
    ScoredRegions,
    ground_finding,
)
from localize.grounding.place_agreement import AgreementWeights, regions_of_words
from localize.grounding.report_sentences import report_sentences
from localize.inference.ground_films import NMS_IOU, REGIONS, grounding_structurer, scored_regions
from localize.inference.model import Model

NAMED_IOU = 0.5
GROUPS = ("rsna", "siim")
MOST_FILMS, SEED = 60, 0  # of each group and split
NO_BOX = np.zeros((0, 4))
# Tried on validation films; the first is taken where several are equal.
CANDIDATES = tuple(
    GroundingRule(AgreementWeights(zone_sd=zone, area_sd=area))
    for zone in (0.5, 0.3, 0.8)
    for area in (3.0, 1.5, 0.8)
)


@dataclass(frozen=True)
class RegionFilm:
    """A film with its lungs, what the detector proposes and its true boxes (N, 4), film pixels."""

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


def boxed_films(films: Manifest, sources: Sequence[str]) -> Manifest:
    """The films of some sources that have boxes, at most MOST_FILMS, drawn from a seed."""
    images = films.images
    boxed = images["image_id"].isin(set(films.boxes["image_id"]))
    ids = images.loc[images["source"].isin(sources) & boxed, "image_id"].to_numpy()
    chosen = np.random.default_rng(SEED).permutation(ids)[:MOST_FILMS]
    return films.subset(images["image_id"].isin(set(chosen.tolist())))


def region_films(model: Model, films: Manifest) -> list[RegionFilm]:
    """The regions and lungs of every film.

    Raises:
        DataError: a film cannot be read.
    """
    boxes = films.boxes_by_image()
    found = model.film_regions(
        list(films.film_paths()), limit=REGIONS, nms_iou=NMS_IOU, with_lungs=True
    )
    rows = []
    for regions, patient, image_id in zip(
        found, films.images["patient_id"], films.images["image_id"], strict=True
    ):
        if isinstance(regions, DataError):
            raise regions
        anatomy = FilmAnatomy(regions.width, regions.height, regions.lungs)
        scored = scored_regions(regions, model.bundle)
        rows.append(RegionFilm(str(patient), anatomy, scored, boxes.get(image_id, NO_BOX)))
    return rows


def on_average_film(films: Sequence[RegionFilm]) -> list[RegionFilm]:
    """The same films with the lungs of the average film."""
    return [
        replace(film, anatomy=FilmAnatomy(film.anatomy.width, film.anatomy.height))
        for film in films
    ]


def choose_rule(films: Sequence[RegionFilm]) -> GroundingRule:
    """The candidate that finds most named boxes of validation films."""
    return max(CANDIDATES, key=lambda rule: float(ground_dictated(films, rule).named.mean()))


def ground_dictated(
    films: Sequence[RegionFilm],
    rule: GroundingRule,
    borders: Sequence[LungBorders] | None = None,
) -> NamedBoxes:
    """Dictate each film's boxes and ground every sentence that states a place.

    `borders` are those that the sides and zones of each film's sentences are dictated by, the
    average film's by default.
    The best box of a film, the one that is shown without a report, is its region with the highest
    score, moved by its neighbours as the sentence's box is.
    """
    structurer = grounding_structurer("en")
    rows: list[tuple[float, float, float, float]] = []
    owners: list[int] = []
    patients = sorted({film.patient for film in films})
    for film, own in zip(films, borders or [WHOLE_FILM] * len(films), strict=True):
        width, height = film.anatomy.width, film.anatomy.height
        true = film.true[np.lexsort(film.true.T[::-1])]
        corners = [(x1, y1, x2, y2) for x1, y1, x2, y2 in true.tolist()]
        text = dictate(corners, width, height, own)
        named_places = [place.words() for place in places_of(true, width, height, own)]
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
                        _side_right(found[:1], finding, width, own),
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


def _side_right(found: Floats, finding: Finding, width: int, borders: LungBorders) -> float:
    sides = [side for side in SIDES if side in finding.attributes]
    if len(sides) != 1 or not len(found):
        return np.nan
    return float(is_on_side(found, width, sides[0], borders)[0])


@dataclass(frozen=True)
class DictatedGrounding:
    """The films of one group, with their own lungs and with those of the average film.

    Args:
        lungs, average: sentences dictated by the sides and zones of the average film.
        lungs_own, average_own: dictated by those of the film's own lungs.
    """

    lungs: NamedBoxes
    average: NamedBoxes
    lungs_own: NamedBoxes
    average_own: NamedBoxes


def compare_lungs(films: Sequence[RegionFilm], rule: GroundingRule) -> DictatedGrounding:
    """Ground with own and average lungs what is dictated by own and average lungs."""
    average = on_average_film(films)
    borders = [film.anatomy.borders for film in films]
    return DictatedGrounding(
        ground_dictated(films, rule),
        ground_dictated(average, rule),
        ground_dictated(films, rule, borders),
        ground_dictated(average, rule, borders),
    )


@dataclass(frozen=True)
class BoxedGrounding:
    """The rule chosen on validation films, and each group of films: `val` and `test` by group."""

    rule: GroundingRule
    val: Mapping[str, DictatedGrounding]
    test: Mapping[str, DictatedGrounding]


def ground_boxed(model: Model, data: Path, *, progress: Progress = no_progress) -> BoxedGrounding:
    """Choose the rule on the validation patients of all GROUPS, then ground their test films.

    Raises:
        DataError: a missing table or a bad row.
    """
    films = labelled_films(without_first_bundle_patients(box_films(data), data))
    found: dict[str, dict[str, list[RegionFilm]]] = {}
    for split in ("val", "test"):
        for group in GROUPS:
            progress(f"{group} {split} films")
            boxed = boxed_films(films.split(split), TEST_GROUPS[group])
            found.setdefault(split, {})[group] = region_films(model, boxed)
    rule = choose_rule([film for group in found["val"].values() for film in group])
    compared = {
        split: {group: compare_lungs(shown, rule) for group, shown in groups.items()}
        for split, groups in found.items()
    }
    return BoxedGrounding(rule, compared["val"], compared["test"])
