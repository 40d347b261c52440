"""`label_by_places`: a pseudo-label box for each opacity that a report places.

On the side that the report names, the region that the detector's score and the words of place and
size fit best, voted with its neighbours, then drawn towards the box that the words alone imply:
regions of a detector from elsewhere are too small here, and choosing cannot change that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from data_manifests.laterality import is_on_side
from data_manifests.support.arrays import Floats
from data_manifests.tables.manifest import Manifest
from detector.roi_store import DONE, RoiStore
from localize.adaptation.place_prior import PlacePrior, fit_place_prior
from localize.adaptation.place_words import PlaceWords, mirrored, on_side, read_place_words
from localize.adaptation.pseudo_boxes import (
    FilmRois,
    PseudoBox,
    read_film_rois,
    vote_box,
    with_pseudo_boxes,
)
from localize.adaptation.pseudo_labels import PseudoLabels
from localize.adaptation.report_words import read_report_words

# Of 0, .3, .5, .7, 1, on SIIM's training films: the highest share of pseudo-boxes on a true box.
PRIOR_SHARE = 0.5
TINY_SCORE = 1e-6
SHUFFLE_SEED = 0
Control = Literal["shuffled", "sides_prior"]


@dataclass(frozen=True)
class ReportPlaces:
    """Of F films: `has_opacity`, what each report states (None: neither), and the `places` of its
    opacities; `prior`, the boxes that words imply."""

    has_opacity: Sequence[bool | None]
    places: Sequence[Sequence[PlaceWords]]
    prior: PlacePrior


def label_by_places(
    films: Manifest,
    store: RoiStore,
    mined: Path,
    *,
    boxed: Manifest,
    control: Control | None = None,
) -> PseudoLabels:
    """Films whose report states or denies an opacity, with a pseudo-box for each stated one.

    `mined` is a folder of `pneumoloc attributes mine`; `boxed` are the old hospital's films with
    boxes, which teach what boxes words imply. Controls: with `shuffled` each film whose report
    states an opacity gets the words of another such film; with `sides_prior` the sides are kept,
    and no other word of a film is used.

    Raises:
        DataError: tables missing or damaged, or a film that is not in the store.
    """
    reports = read_report_places(
        films,
        mined,
        boxed=boxed,
        shuffle_seed=SHUFFLE_SEED if control == "shuffled" else None,
        sides_alone=control == "sides_prior",
    )
    image_ids = films.images["image_id"].tolist()
    rows, status = store.rows_of(image_ids), store.status()
    is_labelled: list[bool] = []
    boxes: list[PseudoBox] = []
    for image_id, places, row, one in zip(
        image_ids, reports.places, rows, reports.has_opacity, strict=True
    ):
        found: list[Floats] = []
        if one and status[row] == DONE:
            found = place_boxes(read_film_rois(store, row), places, reports.prior)
        is_labelled.append(bool(found) if one else one is False)
        boxes += [PseudoBox(image_id, xyxy) for xyxy in found]
    boxed_films = len({box.image_id for box in boxes})
    return PseudoLabels(
        manifest=with_pseudo_boxes(films.subset(is_labelled), boxes),
        boxed_films=boxed_films,
        empty_films=sum(is_labelled) - boxed_films,
        unlabelled_films=len(is_labelled) - sum(is_labelled),
    )


def read_report_places(
    films: Manifest,
    mined: Path,
    *,
    boxed: Manifest,
    shuffle_seed: int | None = None,
    sides_alone: bool = False,
) -> ReportPlaces:
    """The places in the reports of `films`, and what their words imply by the boxes of `boxed`.

    Controls: with `shuffle_seed` each film whose report states an opacity gets the words of another
    such film; with `sides_alone` the sides are kept, and no other word of a film is used.

    Raises:
        DataError: tables missing or damaged.
    """
    has_opacity = [one.has_opacity for one in read_report_words(films, mined).reports]
    studies = films.images["study_id"].tolist()
    stated = [study for study, one in zip(studies, has_opacity, strict=True) if one]
    places = dict(read_place_words(mined))
    prior = fit_place_prior(boxed, [one for study in stated for one in places[study]])
    if shuffle_seed is not None:
        places |= _shuffled(places, stated, np.random.default_rng(shuffle_seed))
    if sides_alone:
        places = {study: _sides_alone(words) for study, words in places.items()}
    return ReportPlaces(has_opacity, [places.get(study, ()) for study in studies], prior)


def place_boxes(rois: FilmRois, places: Sequence[PlaceWords], prior: PlacePrior) -> list[Floats]:
    """One box (4,) in film pixels for each place on whose side there is a region."""
    size = np.array([rois.width, rois.height] * 2, np.float64)
    found = []
    for words in places:
        here = rois
        if words.side is not None:
            here = rois.subset(is_on_side(rois.xyxy, rois.width, words.side))
        if not len(here.xyxy):
            continue
        implied = prior.given(words)
        fit = implied.log_density(mirrored(here.xyxy / size))
        weights = np.maximum(here.scores, TINY_SCORE) * np.exp(fit - fit.max())
        voted = vote_box(here, weights, int(weights.argmax())) / size
        side = words.side or ("left" if voted[0] + voted[2] > 1 else "right")
        mixed = (1 - PRIOR_SHARE) * mirrored(voted[None])[0] + PRIOR_SHARE * implied.mean
        found.append(np.clip(on_side(mixed, side), 0.0, 1.0) * size)
    return found


def _shuffled(
    places: Mapping[str, tuple[PlaceWords, ...]], stated: Sequence[str], random: np.random.Generator
) -> dict[str, tuple[PlaceWords, ...]]:
    """The words of each study in `stated` go to another one of them."""
    studies = sorted(set(stated))
    order = random.permutation(len(studies))
    givers = np.roll(order, 1)  # a cycle: no study keeps its words
    return {studies[to]: places[studies[giver]] for to, giver in zip(order, givers, strict=True)}


def _sides_alone(places: Sequence[PlaceWords]) -> tuple[PlaceWords, ...]:
    """One place for each side that is named."""
    return tuple(PlaceWords(side) for side in dict.fromkeys(one.side for one in places))
