"""`attribute_rows`: accuracy, AUC, average precision and calibration of every keyword."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_manifests.manifest import Manifest
from localize.attribute_targets import target_matrix
from localize.evaluate import evaluate
from localize.metrics.bootstrap import Estimate
from localize.prediction import Prediction

OVERALL = "all"
POOLED = "all, pooled"
METRICS = ("accuracy", "auc", "ap", "ece")


@dataclass(frozen=True)
class AttributeRow:
    """One keyword, the mean over keywords (`all`), or all pairs of film and keyword together (`all,
    pooled`); of the last two films and positives are sums.

    `always_no` is the accuracy of never answering with the keyword.
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
    known = target_matrix(targets, manifest, keywords)
    films, positives = np.isfinite(known).sum(axis=0), (known == 1).sum(axis=0)
    rows = [
        _row(name, numbers, name, int(films[k]), int(positives[k]))
        for k, name in enumerate(keywords)
    ]
    sums = int(films.sum()), int(positives.sum())
    rows.append(_row(OVERALL, numbers, "macro", *sums))
    rows.append(_row(POOLED, numbers, "pooled", *sums))
    return rows


def _row(
    keyword: str, numbers: dict[str, Estimate], key: str, films: int, positives: int
) -> AttributeRow:
    accuracy, auc, ap, ece = (numbers[f"attribute_{key}_{metric}"] for metric in METRICS)
    always_no = 1 - positives / films if films else None
    return AttributeRow(keyword, films, positives, accuracy, auc, ap, ece, always_no)
