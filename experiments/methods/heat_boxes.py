"""Heat maps to boxes: a threshold chosen on validation films, connected components, scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from data_manifests.tables.manifest import Manifest
from experiments.methods.box_prediction import box_prediction, found_boxes, scored_film
from experiments.methods.heat_maps import FilmHeat, Heat
from localize.prediction.tables import Prediction

Floats = NDArray[np.float64]
ScoreKind = Literal["max", "mean"]
MIN_AREA = 0.002  # share of the film; smaller components are ignored
THRESHOLDS = tuple(round(0.05 * k, 2) for k in range(2, 20))  # .1 ... .95 of the film's range
SCORES: tuple[ScoreKind, ...] = ("max", "mean")


@dataclass(frozen=True)
class HeatRule:
    """Boxes are components with heat >= `threshold`, scored by their `score` heat."""

    threshold: float
    score: ScoreKind


def heat_boxes(heat: Heat, rule: HeatRule) -> tuple[Floats, Floats]:
    """Boxes (K, 4) around the components of heat (h, w), in heat pixels, and their scores (K,).

    Components are 8-connected. A box spans its pixels' outer edges.
    """
    hot = (heat >= rule.threshold).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(hot, connectivity=8)
    boxes, scores = [], []
    for label in range(1, count):  # 0 is the background
        left, top, width, height, area = map(int, stats[label])
        if area < MIN_AREA * heat.size:
            continue
        inside = heat[labels == label]
        boxes.append([left, top, left + width, top + height])
        scores.append(float(inside.max() if rule.score == "max" else inside.mean()))
    return np.array(boxes, np.float64).reshape(-1, 4), np.array(scores, np.float64)


def heat_prediction(films: Sequence[FilmHeat], rule: HeatRule, method: str) -> Prediction:
    """Boxes of heat maps in film pixels; a box's score is its heat times the film's P(opacity)."""
    found = []
    for film in films:
        xyxy, scores = heat_boxes(film.heat, rule)
        scale = np.array([film.scale_x, film.scale_y] * 2)
        limits = np.array([film.width, film.height] * 2, np.float64)
        found.append(
            scored_film(
                film.image_id,
                film.width,
                film.height,
                np.minimum(xyxy / scale, limits),
                scores * film.probability,
                probability=film.probability,
            )
        )
    return box_prediction(found, method, asdict(rule))


def choose_heat_rule(films: Sequence[FilmHeat], manifest: Manifest) -> HeatRule:
    """The rule with the highest IoU@.5, then IoU@.25, on validation films with boxes.

    Of equal rules the one with the lowest threshold.

    Raises:
        DataError: no film has a box.
    """
    boxed = set(manifest.boxes["image_id"])
    part = manifest.subset(manifest.images["image_id"].isin(boxed))
    chosen = [film for film in films if film.image_id in boxed]
    rules = [HeatRule(threshold, score) for threshold, score in product(THRESHOLDS, SCORES)]

    def found(rule: HeatRule) -> tuple[float, float]:
        return found_boxes(heat_prediction(chosen, rule, "heat"), part)

    return max(rules, key=found)
