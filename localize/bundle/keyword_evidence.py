"""`keyword_evidence`: what shows that a bundle's keywords are right on real films."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from sklearn.metrics import roc_auc_score

from localize.bundle.calibration import Calibration
from localize.bundle.fit_calibration import ValidationFilm
from localize.bundle.place_words import film_place_words, true_place_words

EvidenceSource = Literal["boxes", "none"]
MIN_AUC = 0.6  # below it the boxes do not show that the word is right (.5 is chance)


@dataclass(frozen=True)
class KeywordEvidence:
    """`boxes`: readers' boxes of validation films say whether the word holds; `auc` is how well it
    is predicted among `films` films with boxes, on `present` of which it holds. `none`: nothing
    real was there to test it on, or it failed (`auc` below MIN_AUC)."""

    source: EvidenceSource
    auc: float | None = None
    films: int = 0
    present: int = 0


def keyword_evidence(
    keywords: Sequence[str], films: Sequence[ValidationFilm], calibration: Calibration
) -> dict[str, KeywordEvidence]:
    """The evidence for each keyword from validation films with true boxes."""
    true: list[Mapping[str, bool]] = []
    found: list[Mapping[str, float]] = []
    for film in films:
        if film.true_boxes is None or not len(film.true_boxes):
            continue
        size = film.width, film.height
        scores = calibration.box_scores(film.log_alpha, film.film_sum)
        true.append(true_place_words(film.true_boxes, *size))
        found.append(film_place_words(film.xyxy, scores, *size))
    evidence = {}
    for word in keywords:
        if word not in calibration.place_words:
            evidence[word] = KeywordEvidence("none")
            continue
        labels = np.array([one[word] for one in true])
        scored = np.array([one[word] for one in found])
        auc = None
        if 0 < labels.sum() < len(labels):
            auc = round(float(roc_auc_score(labels, scored)), 4)
        source: EvidenceSource = "none" if auc is None or auc < MIN_AUC else "boxes"
        evidence[word] = KeywordEvidence(source, auc, len(labels), int(labels.sum()))
    return evidence


def evidence_json(evidence: Mapping[str, KeywordEvidence]) -> dict[str, dict[str, object]]:
    """As `bundle.json` holds it."""
    return {word: asdict(one) for word, one in evidence.items()}
