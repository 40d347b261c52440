"""`PairedFilms`: predictions and the truth of the same films as arrays, without the tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_manifests.support.arrays import Bools, Floats, Ints, Ints32
from data_manifests.support.errors import DataError, Problem
from data_manifests.support.membership import Lookup, text_codes
from data_manifests.tables.columns import CORNERS
from data_manifests.tables.manifest import Manifest
from localize.evaluation.aligned_prediction import AlignedPrediction, align
from localize.evaluation.attribute_targets import target_matrix
from localize.evaluation.film_boxes import FilmBoxes, make_film_boxes
from localize.prediction.prediction_folder import PredictedFilms

NOT_PAIRED = {"images": ("view", "source"), "boxes": ("label", "annotator")}  # columns


@dataclass(frozen=True)
class TrueFilms:
    """What an evaluation needs of the I films of a manifest, in its order; G true boxes.

    Args:
        patients: (I,) number of the film's patient, from 0.
        target: (I,) 1 pneumonia, 0 none, NaN unknown: `labels.pneumonia`, else boxes.
        is_known: (I,) films whose true boxes are known, "none" included.
        is_labelled: whether the manifest has labels of pneumonia.
        xyxy, film: (G, 4) film pixels and (G,) row of the box's film, in any order.
    """

    patients: Ints
    target: Floats
    is_known: Bools
    is_labelled: bool
    xyxy: Floats
    film: Ints32

    def subset(self, keep: Bools) -> TrueFilms:
        """The films where `keep` (I,) is true, patients numbered anew."""
        if keep.all():
            return self
        row_of = np.cumsum(keep, dtype=np.int64) - 1
        boxes = keep[self.film]
        return TrueFilms(
            patients=pd.factorize(self.patients[keep])[0].astype(np.int64),
            target=self.target[keep],
            is_known=self.is_known[keep],
            is_labelled=self.is_labelled,
            xyxy=self.xyxy[boxes],
            film=row_of[self.film[boxes]].astype(np.int32),
        )

    def film_boxes(self, prediction: AlignedPrediction) -> FilmBoxes:
        """The boxes of a prediction of these films beside the true ones."""
        return make_film_boxes(
            prediction.xyxy,
            prediction.score,
            prediction.film,
            self.xyxy,
            self.film,
            films=len(self.target),
            is_known=self.is_known,
        )


@dataclass(frozen=True)
class PairedFilms:
    """One or two predictions of the same films, and their truth; skipped films left out.

    `attributes` are the targets of each prediction's keywords, (I, K), where asked for. `skipped`
    are the ids of films that a prediction skipped.
    """

    predictions: tuple[AlignedPrediction, ...]
    attributes: tuple[Floats | None, ...]
    truth: TrueFilms
    skipped: tuple[str, ...]


def pair_films(
    prediction: PredictedFilms,
    ids: pd.DataFrame,
    truth: TrueFilms,
    *,
    baseline: PredictedFilms | None = None,
    targets: pd.DataFrame | None = None,
) -> PairedFilms:
    """The films that no prediction skipped; for the other arguments see `evaluate`.

    The tables of the manifest need not be in memory beside the prediction.

    Args:
        ids: `image_id` of each film of `truth`, and `study_id` where there are targets.

    Raises:
        DataError: the predictions and the manifest have different films, a score is missing, no
            film is left, or there is no truth at all.
    """
    both = [
        align(one, ids["image_id"], has_attributes=targets is not None)
        for one in ([prediction] if baseline is None else [prediction, baseline])
    ]
    is_ok = np.logical_and.reduce([one.is_ok for one in both])
    skipped = tuple(ids["image_id"][~is_ok])
    truth, ids = truth.subset(is_ok), ids[is_ok]
    both = [one.subset(is_ok) for one in both]
    if ids.empty:
        raise DataError.from_problems(
            [Problem("prediction images.csv", "at least one film that was not skipped", "none")]
        )
    if (
        targets is None
        and not len(truth.xyxy)
        and not (truth.is_labelled and np.isfinite(truth.target).any())
    ):
        raise DataError.from_problems(
            [
                Problem(
                    "manifest",
                    "true boxes, labels of pneumonia, or targets of attributes",
                    f"none for {len(ids)} films",
                    fix="give a manifest with boxes.csv or a pneumonia column in labels.csv",
                )
            ]
        )
    known = [None if targets is None else target_matrix(targets, ids, one.keywords) for one in both]
    return PairedFilms(tuple(both), tuple(known), truth, skipped)


def true_films(manifest: Manifest) -> TrueFilms:
    """The truth of the films of a manifest.

    Raises:
        DataError: a label of pneumonia that is not 0, 1 or blank.
    """
    images = manifest.images
    patients = text_codes(images["patient_id"])
    film = Lookup(images["image_id"]).places(manifest.boxes["image_id"]).astype(np.int32)
    has_boxes = np.bincount(film, minlength=len(images)) > 0
    target = _targets(manifest, has_boxes)
    labelled = "pneumonia" in manifest.labels
    return TrueFilms(
        patients=patients,
        target=target,
        is_known=has_boxes | (target == 0) if labelled else np.ones(len(images), np.bool_),
        is_labelled=labelled,
        xyxy=manifest.boxes[list(CORNERS)].to_numpy(np.float64),
        film=film,
    )


def _targets(manifest: Manifest, has_boxes: Bools) -> Floats:
    if "pneumonia" not in manifest.labels:
        return has_boxes.astype(np.float64)
    labels = manifest.labels.drop_duplicates("image_id").set_index("image_id")["pneumonia"]
    values = pd.to_numeric(labels, errors="coerce").reindex(manifest.images["image_id"]).to_numpy()
    bad = np.isfinite(values) & ~np.isin(values, (0, 1))
    if bad.any():
        got = sorted({float(value) for value in values[bad]})[:5]
        raise DataError.from_problems(
            [Problem("labels.csv", "0, 1 or blank", f"{got}", field="pneumonia")]
        )
    target: Floats = np.where(np.isnan(values) & has_boxes, 1.0, values).astype(np.float64)
    return target
