"""`size_prior_logits`: the detector's logit + c log(share of the film's area); no text."""

from __future__ import annotations

import numpy as np

from data_manifests.support.arrays import Floats32
from detector.film_maps import NO_REGION, FilmMaps
from experiments.attention.pair_films import TestFilms
from experiments.attention.ranked import rank_candidates
from experiments.methods.size_prior import EXPONENTS, TINY
from localize.evaluation.top_k_recall import box_recall_measure

THRESHOLDS = np.array([0.5, 0.25])


def size_prior_logits(val: TestFilms, test: FilmMaps) -> Floats32:
    """Logits with the c that has the highest IoU@.5, then IoU@.25, on hospital A's val films."""

    def found(exponent: float) -> tuple[float, ...]:
        ranked = rank_candidates(val.maps, _with_size(val.maps, exponent))
        boxes = ranked.film_boxes(val.true_boxes)
        measure = box_recall_measure("iou", boxes.first(boxes.true_counts()), THRESHOLDS)
        return tuple(measure.values(np.ones((1, len(val.true_boxes))))[0].tolist())

    return _with_size(test, max(sorted(EXPONENTS, key=abs), key=found))


def _with_size(films: FilmMaps, exponent: float) -> Floats32:
    sides = films.boxes[..., 2:] - films.boxes[..., :2]
    share = np.maximum(sides.prod(axis=-1) / films.sizes.prod(axis=1)[:, None], TINY)
    moved = films.logits + exponent * np.log(share)
    return np.where(films.logits > NO_REGION, moved, NO_REGION).astype(np.float32)
