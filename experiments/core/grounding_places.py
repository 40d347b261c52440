"""`score_place_boxes`: boxes from words of place alone, on described phantom films."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from data_manifests.boxes import iou_matrix
from detector.lungs import LungFields
from detector.lungs.lung_fields import LEFT_LUNG, RIGHT_LUNG
from experiments.core.grounding_phantom import PhantomGrounding
from experiments.data.described_films import described_examples
from localize.grounding.film_anatomy import FilmAnatomy
from localize.grounding.ground_report import PLACE_SCORES, ScoredRegions, ground_finding

PLACE_IOU = 0.5
NO_REGIONS = ScoredRegions(np.zeros((0, 4)), np.zeros(0))


def score_place_boxes(run: PhantomGrounding, seeds: Sequence[int]) -> dict[str, Any]:
    """By finding: how many present ones there are on test films, and on which share of them the
    box from place words has IoU .5 or more with the true one, with the true lungs and with the
    average ones. Any: JSON numbers."""
    hits: dict[str, list[tuple[float, float]]] = {}
    for seed in seeds:
        _, test = described_examples(run.out / f"seed_{seed}", seed, run.size)
        for film, finding, name, true in zip(
            test.examples.film_of, test.structured, test.findings, test.examples.boxes, strict=True
        ):
            if not len(true) or name not in PLACE_SCORES:
                continue
            lungs = test.examples.lungs[film]
            height, width = lungs.shape
            scored = []
            for known in (_fields(lungs), None):
                anatomy = FilmAnatomy(width, height, known)
                found = ground_finding(name, finding.attribute_names, NO_REGIONS, anatomy).xyxy
                scored.append(float(len(found) > 0 and iou_matrix(found, true).max() >= PLACE_IOU))
            hits.setdefault(name, []).append((scored[0], scored[1]))
    return {
        name: {
            "findings": len(values),
            "lungs": float(np.mean([value for value, _ in values])),
            "average": float(np.mean([value for _, value in values])),
        }
        for name, values in sorted(hits.items())
    }


def _fields(labels: np.ndarray) -> LungFields:  # uint8 (H, W)
    """The true lungs as a segmentation without doubt."""
    scores = [1.0 if (labels == part).any() else None for part in (RIGHT_LUNG, LEFT_LUNG)]
    reason = "" if None not in scores else "not on the film"
    return LungFields(labels, scores[0], scores[1], reason=reason)
