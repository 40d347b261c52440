"""`correct_film`: an annotator who corrects a film's boxes towards the truth, for experiments.

Not a person: it never overlooks the place of a box that it was shown, and its hand is steadier than
most. What a real team changes is counted by `pneumoloc import-boxes --prediction`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from data_manifests.boxes import Boxes, iou_matrix
from data_manifests.support.arrays import Floats
from data_manifests.tables.columns import BOX_LABEL
from localize.formats.hub.annotations import FilmAnnotation

MIN_SIDE_PX = 2.0


@dataclass(frozen=True)
class AnnotatorHabits:
    """How the annotator works.

    A box with at least `accept_iou` with an opacity is left as it is, one with at least `move_iou`
    is moved onto it, others are deleted. Opacities without a box are drawn, but a share
    `overlooked` of them is not seen. Each edge of what is moved or drawn is off by `hand` (standard
    deviation, share of the box's side).
    """

    accept_iou: float = 0.7
    move_iou: float = 0.25
    overlooked: float = 0.1
    hand: float = 0.04


def correct_film(
    film: FilmAnnotation, truth: Floats, habits: AnnotatorHabits, random: np.random.Generator
) -> FilmAnnotation:
    """The film as the annotator sends it back: boxes without scores and words.

    Args:
        film: as it went out, in film pixels.
        truth: (N, 4) the true boxes, film pixels; what the annotator sees on the film.
        habits: how boxes are accepted and drawn.
        random: draws the overlooked opacities and the hand's errors.
    """
    iou = iou_matrix(film.xyxy, truth)
    kept: list[Floats] = []
    seen: set[int] = set()
    for shown, real in zip(*linear_sum_assignment(-iou), strict=True):
        if iou[shown, real] < habits.move_iou:
            continue
        seen.add(int(real))
        is_good = iou[shown, real] >= habits.accept_iou
        kept.append(film.xyxy[shown] if is_good else _drawn(truth[real], film, habits, random))
    for real in sorted(set(range(len(truth))) - seen):
        if random.random() >= habits.overlooked:
            kept.append(_drawn(truth[real], film, habits, random))
    label = film.labels[0] if film.labels else BOX_LABEL
    return FilmAnnotation(
        name=film.name,
        boxes=Boxes(np.array(kept, dtype=np.float64).reshape(-1, 4), film.width, film.height),
        labels=(label,) * len(kept),
        scores=np.full(len(kept), np.nan),
        keywords=((),) * len(kept),
        image_id=film.image_id,
        p_pneumonia=film.p_pneumonia,
        severity=film.severity,
    )


def _drawn(
    truth: Floats, film: FilmAnnotation, habits: AnnotatorHabits, random: np.random.Generator
) -> Floats:
    """The true box as the hand draws it, inside the film."""
    sides = np.tile(truth[2:] - truth[:2], 2)
    edges = truth + random.normal(0.0, habits.hand, 4) * sides
    size = np.array([film.width, film.height], dtype=np.float64)
    low = np.clip(edges[:2], 0, size - MIN_SIDE_PX)
    high = np.clip(edges[2:], low + MIN_SIDE_PX, size)
    return np.concatenate([low, high])
