"""`correct_film`: a simulated annotator, who corrects a film's boxes towards the true ones.

It looks at every box that it is shown and draws more precisely than most people. The changes of a
real team are counted by `pneumoloc import-boxes --prediction`.
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
    """Rules of the annotator.

    A box whose IoU with an opacity is at least `accept_iou` stays as it is, one of at least
    `move_iou` is moved onto the opacity, others are deleted. Opacities without a box are drawn,
    except a share `overlooked` of them. Each edge that is moved or drawn has an error of standard
    deviation `hand` (share of the box's side).
    """

    accept_iou: float = 0.7
    move_iou: float = 0.25
    overlooked: float = 0.1
    hand: float = 0.04


def correct_film(
    film: FilmAnnotation, truth: Floats, habits: AnnotatorHabits, random: np.random.Generator
) -> FilmAnnotation:
    """The film with corrected boxes, without scores and attributes.

    Args:
        film: with predicted boxes, in film pixels.
        truth: (N, 4) the true boxes, film pixels.
        habits: how boxes are accepted and drawn.
        random: draws the overlooked opacities and the errors of edges.
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
    """The true box with errors of its edges, inside the film."""
    sides = np.tile(truth[2:] - truth[:2], 2)
    edges = truth + random.normal(0.0, habits.hand, 4) * sides
    size = np.array([film.width, film.height], dtype=np.float64)
    low = np.clip(edges[:2], 0, size - MIN_SIDE_PX)
    high = np.clip(edges[2:], low + MIN_SIDE_PX, size)
    return np.concatenate([low, high])
