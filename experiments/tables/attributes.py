"""`attribute_rows`: accuracy, AUC, average precision and calibration of every keyword."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from data_manifests.tables.manifest import Manifest
from localize.evaluation.attribute_targets import target_matrix
from localize.evaluation.bootstrap import Estimate
from localize.evaluation.evaluate import evaluate
from localize.prediction.tables import Prediction

OVERALL = "all"
POOLED = "all, pooled"
METRICS = ("accuracy", "auc", "ap", "ece")


@dataclass(frozen=True)
class AttributeRow:
    """One keyword; or the mean over keywords (`all`), or all pairs of film and keyword together
    (`all, pooled`), whose films and positives are sums.

    `always_no` is the accuracy of never predicting the keyword.
    """

    keyword: str
    films: int
    positives: int
    accuracy: Estimate
    auc: Estimate
    ap: Estimate
    ece: Estimate
    always_no: float | None


def attribute_rows(
    prediction: Prediction, manifest: Manifest, targets: pd.DataFrame
) -> list[AttributeRow]:
    """A row for each keyword in the order of the lexicon, then their mean, then all pooled.

    `targets` as in `evaluate`.

    Raises:
        DataError: as `evaluate`.
    """
    keywords = prediction.keywords()
    numbers = {
        row.key: row.estimate for row in evaluate(prediction, manifest, targets=targets).rows
    }
    known = target_matrix(targets, manifest.images, keywords)
    films, positives = np.isfinite(known).sum(axis=0), (known == 1).sum(axis=0)
    rows = [
        _row(name, numbers, name, int(films[k]), int(positives[k]))
        for k, name in enumerate(keywords)
    ]
    sums = int(films.sum()), int(positives.sum())
    rows.append(_row(OVERALL, numbers, "macro", *sums))
    rows.append(_row(POOLED, numbers, "pooled", *sums))
    return rows


@dataclass(frozen=True)
class AttributeReference:
    """The rows of a baseline that uses no attribute of a film, only what `knows` names."""

    knows: str
    rows: list[AttributeRow]


def attribute_references(
    prediction: Prediction, manifest: Manifest, targets: pd.DataFrame
) -> list[AttributeReference]:
    """Baselines: each keyword's mean probability times the film's P(pneumonia), or times whether
    the film truly has any keyword.

    A method that is not better than the first has learned no attribute beyond the finding.
    """
    keywords = prediction.keywords()
    known = target_matrix(targets, manifest.images, keywords)
    has_any = dict(zip(manifest.images["image_id"], (known == 1).any(axis=1), strict=True))
    images = prediction.images.set_index("image_id")["p_pneumonia"]
    answers = prediction.attributes
    ids = answers["image_id"]
    knowledge = {
        "P(pneumonia)": ids.map(images).to_numpy(np.float64),
        "the finding": ids.map(has_any).to_numpy(np.float64),
    }
    usual = answers[list(keywords)].mean().to_numpy(np.float64)
    no_boxes = prediction.boxes.iloc[:0]  # matching boxes costs time and is not used here
    references = []
    for knows, known_share in knowledge.items():
        table = answers.copy()
        table[list(keywords)] = known_share[:, None] * usual
        one = replace(prediction, boxes=no_boxes, attributes=table)
        found = attribute_rows(one, manifest, targets)
        references.append(AttributeReference(knows, found))
    return references


def _row(
    keyword: str, numbers: dict[str, Estimate], key: str, films: int, positives: int
) -> AttributeRow:
    accuracy, auc, ap, ece = (numbers[f"attribute_{key}_{metric}"] for metric in METRICS)
    always_no = 1 - positives / films if films else None
    return AttributeRow(keyword, films, positives, accuracy, auc, ap, ece, always_no)
