"""`LungPriorBoxes`: the same two boxes on every film, from training boxes; no pixel is read."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Literal

import numpy as np

from data_manifests.films.read_film import film_size
from data_manifests.laterality import is_on_side
from data_manifests.support.arrays import Floats
from data_manifests.support.errors import DataError
from data_manifests.tables.manifest import Manifest
from experiments.methods.box_prediction import box_prediction, scored_film
from experiments.methods.classifier import film_labels
from experiments.methods.inputs import ExperimentInput, TestSet
from experiments.methods.method import Method, TrainedMethod
from localize.prediction.tables import Prediction


class LungPriorBoxes(Method):
    """The median training box of each half of the film."""

    kind: Literal["lung_prior"] = "lung_prior"

    def train(self, inputs: ExperimentInput) -> TrainedMethod:
        """Fit the boxes."""
        prior = fit_lung_prior(inputs.boxed.split("train"))
        return TrainedMethod(partial(_predict, prior))


@dataclass(frozen=True)
class LungPrior:
    """`xyxy` (K, 4) as shares of the film, K at most 2; `scores` (K,); P(opacity) of a film."""

    xyxy: Floats
    scores: Floats
    prevalence: float


def fit_lung_prior(train: Manifest) -> LungPrior:
    """Median corners of the training boxes of each half of the film.

    A box belongs to the half with its centre. Its score is the share of films with a known label
    that have a box in that half.

    Raises:
        DataError: no boxes.
    """
    if train.boxes.empty:
        raise DataError("lung prior: expected training films with boxes, got none")
    sizes = _sizes(train)
    shares, halves = [], []
    for image_id, xyxy in train.boxes_by_image().items():
        share = xyxy / np.tile(sizes[image_id], 2)
        shares.append(share)
        halves += [(image_id, bool(left)) for left in is_on_side(share, 1.0, "left")]
    corners = np.concatenate(shares)
    is_left = np.array([left for _, left in halves])
    labels = film_labels(train)
    known = int(np.isfinite(labels).sum())
    boxes, scores = [], []
    for side in (False, True):
        if (is_left == side).any():
            boxes.append(np.median(corners[is_left == side], axis=0))
            scores.append(len({image_id for image_id, left in halves if left == side}) / known)
    return LungPrior(np.array(boxes), np.array(scores), float(np.nanmean(labels)))


def _predict(prior: LungPrior, test: TestSet) -> Prediction:
    return prior_prediction(prior, test.films)


def prior_prediction(prior: LungPrior, manifest: Manifest) -> Prediction:
    """The prior's boxes on every film."""
    films = []
    for image_id, (width, height) in _sizes(manifest).items():
        xyxy = prior.xyxy * (width, height, width, height)
        probability = prior.prevalence
        films.append(
            scored_film(
                image_id, int(width), int(height), xyxy, prior.scores, probability=probability
            )
        )
    options = {name: np.asarray(value).tolist() for name, value in asdict(prior).items()}
    return box_prediction(films, "lung_prior", options)


def _sizes(manifest: Manifest) -> dict[str, Floats]:
    """Width and height of every film, from its file where the manifest has none."""
    images = manifest.images
    known = images[["width", "height"]].to_numpy(np.float64, na_value=np.nan)
    return {
        image_id: size if np.isfinite(size).all() else np.array(film_size(path), np.float64)
        for image_id, size, path in zip(
            images["image_id"], known, manifest.film_paths(), strict=True
        )
    }
