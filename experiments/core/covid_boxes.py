"""`covid_boxes`: what detectors and trivial controls draw on COVID films with opacity masks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from data_manifests.support.arrays import Floats
from data_manifests.tables.manifest import Manifest
from detector.detector import load_detector
from detector.roi_store import RoiStore
from experiments.data.box_films import (
    FULL_FRAMES,
    SIIM,
    box_films,
    without_first_bundle_patients,
)
from experiments.data.masked_films import MaskedFilms
from experiments.data.open_films import open_manifests
from experiments.methods.box_prediction import scored_film
from experiments.methods.film_rois import FilmRois, read_rois
from experiments.methods.lung_prior import fit_lung_prior, prior_prediction
from experiments.methods.size_prior import choose_exponent, rank_by_size
from experiments.methods.trained_elsewhere import adapted_detector
from localize.adaptation.adapt_detector import Source
from localize.bundle.bundle import load_bundle
from localize.bundle.packaged import FIRST_BUNDLE, PACKAGED_BUNDLE
from localize.inference.film_list import manifest_films
from localize.inference.options import PredictOptions
from localize.inference.predict_films import predict_films
from localize.pipeline.stages import propose_stage
from localize.prediction.film_prediction import FilmPrediction, SkippedFilm
from localize.prediction.film_tables import films_of_prediction

ADAPTED: dict[str, Source] = {
    "report_adapted": "places",
    "shuffled": "shuffled",
    "sides_prior": "sides_prior",
    "sides": "sides",
    "finding": "finding",
    "own": "own",
    "more_steps": "none",
    "truth": "truth",
}


@dataclass(frozen=True)
class CovidBoxes:
    """The films as each method predicts them, in their order; the checksum of each detector's
    weights; and the exponent of each size prior."""

    films: dict[str, list[FilmPrediction]]
    detectors: dict[str, str]
    exponents: dict[str, float]


def covid_boxes(
    masked: MaskedFilms,
    data: Path,
    siim: Path,
    work: Path,
    *,
    device: torch.device,
    progress: Callable[[str], None],
) -> CovidBoxes:
    """Predict the films by all methods; ROI stores in `work` are used again.

    `siim` is the output folder of `table1 --preset siim`, which holds the adapted detectors.

    Raises:
        DataError: a film that cannot be read.
        CheckpointError: a detector that is not there, or a store of another one.
    """
    found: dict[str, list[FilmPrediction]] = {}
    exponents = {}
    adapted = {name: adapted_detector(siim, source) for name, source in ADAPTED.items()}
    folders = {one.name: one for one in (PACKAGED_BUNDLE, FIRST_BUNDLE)} | adapted
    detectors = {name: load_detector(folder).sha256 for name, folder in folders.items()}
    val = _validation_films(data)

    def rois(name: str, detector: Path, films: Manifest, part: str) -> list[FilmRois]:
        progress(f"{name}: {part} films")
        store = propose_stage(detector, films, work / name / f"rois_{part}", device=device)
        with closing(RoiStore(store)) as opened:
            return read_rois(opened, films)

    for bundle in (PACKAGED_BUNDLE, FIRST_BUNDLE):
        name = bundle.name
        test = rois(name, bundle, masked.films, "masked")
        found[name] = [film.by_score() for film in test]
        listed = manifest_films(masked.films)
        prediction = predict_films(load_bundle(bundle), listed, PredictOptions(), device)
        found[f"{name}_bundle"] = _predicted(films_of_prediction(prediction))
        exponent = choose_exponent(rois(name, bundle, val, "val"), val)
        found[f"{name}_size_prior"] = [rank_by_size(film, exponent=exponent) for film in test]
        exponents[name] = exponent
    for name, detector in adapted.items():
        found[name] = [film.by_score() for film in rois(name, detector, masked.films, "masked")]
    prior = fit_lung_prior(open_manifests(data).rsna.split("train"))
    found["average_boxes"] = _predicted(films_of_prediction(prior_prediction(prior, masked.films)))
    found["lung_boxes"] = _largest_first(masked, masked.lungs)
    found["true_boxes"] = _largest_first(masked, masked.lesions)
    return CovidBoxes(found, detectors, exponents)


def _validation_films(data: Path) -> Manifest:
    """RSNA's and SIIM's validation films with boxes."""
    films = without_first_bundle_patients(box_films(data), data).split("val")
    is_read = films.images["source"].isin((*FULL_FRAMES, SIIM))
    return films.subset(is_read & films.images["image_id"].isin(set(films.boxes["image_id"])))


def _predicted(films: Iterable[FilmPrediction | SkippedFilm]) -> list[FilmPrediction]:
    return [film for film in films if isinstance(film, FilmPrediction)]


def _largest_first(masked: MaskedFilms, boxes: Sequence[Floats]) -> list[FilmPrediction]:
    """Given boxes; the share of the film's area is their score."""
    sizes = masked.films.images[["width", "height"]].to_numpy(np.int64)
    image_ids = masked.films.images["image_id"]
    return [
        scored_film(
            image_id,
            int(width),
            int(height),
            xyxy,
            (xyxy[:, 2:] - xyxy[:, :2]).prod(axis=1) / (width * height),
        )
        for image_id, (width, height), xyxy in zip(image_ids, sizes, boxes, strict=True)
    ]
