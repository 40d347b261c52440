"""`score_place_boxes`: boxes from words of place alone, on described phantom films."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from data_manifests.boxes import iou_matrix
from data_manifests.support.arrays import Floats
from detector.lungs import LungFields
from detector.lungs.lung_fields import LEFT_LUNG, RIGHT_LUNG
from detector.lungs.packaged import load_segmenter
from experiments.data.described_films import described_examples
from experiments.grounding.phantom import PhantomGrounding
from localize.grounding.film_anatomy import FilmAnatomy
from localize.grounding.ground_report import ScoredRegions, ground_finding
from localize.grounding.place_boxes import PLACE_SCORES

PLACE_IOU = 0.5
NO_REGIONS = ScoredRegions(np.zeros((0, 4)), np.zeros(0))


def score_place_boxes(run: PhantomGrounding, seeds: Sequence[int]) -> dict[str, Any]:
    """By finding: how many present ones there are on test films, and on which share of them the
    box from place words has IoU .5 or more with the true one: with segmented lungs, with the true
    ones, and with those of the average film. `centre` is the share of boxes (segmented lungs) that
    hold the centre of the true box. Any: JSON numbers."""
    segmenter = load_segmenter()
    hits: dict[str, list[dict[str, float]]] = {}
    for seed in seeds:
        _, test = described_examples(run.out / f"seed_{seed}", seed, run.size)
        segmented = [
            segmenter.fields(film.astype(np.float32) / np.float32(255))
            for film in test.examples.films
        ]
        for film, finding, name, true in zip(
            test.examples.film_of, test.structured, test.findings, test.examples.boxes, strict=True
        ):
            if not len(true) or name not in PLACE_SCORES:
                continue
            lungs = test.examples.lungs[film]
            height, width = lungs.shape
            fields = {"segmented": segmented[film], "lungs": _fields(lungs), "average": None}
            found = {
                kind: ground_finding(
                    name,
                    finding.attribute_names,
                    NO_REGIONS,
                    FilmAnatomy(width, height, known),
                ).xyxy
                for kind, known in fields.items()
            }
            scores = {kind: _is_hit(boxes, true) for kind, boxes in found.items()}
            scores["centre"] = _holds_centre(found["segmented"], true)
            hits.setdefault(name, []).append(scores)
    return {
        name: {
            "findings": len(rows),
            **{key: float(np.mean([row[key] for row in rows])) for key in rows[0]},
        }
        for name, rows in sorted(hits.items())
    }


def _is_hit(found: Floats, true: Floats) -> float:
    return float(len(found) > 0 and iou_matrix(found, true).max() >= PLACE_IOU)


def _holds_centre(found: Floats, true: Floats) -> float:
    centres = (true[:, :2] + true[:, 2:]) / 2
    inside = (centres[:, None] >= found[None, :, :2]) & (centres[:, None] <= found[None, :, 2:])
    return float(inside.all(axis=2).any())


def _fields(labels: np.ndarray) -> LungFields:  # uint8 (H, W)
    """The true lungs as a segmentation without doubt."""
    scores = [1.0 if (labels == part).any() else None for part in (RIGHT_LUNG, LEFT_LUNG)]
    reason = "" if None not in scores else "not on the film"
    return LungFields(labels, scores[0], scores[1], reason=reason)
