"""`WordPriors`: P(report keyword | place and size of a box), learned without true boxes.

A report of "mild focal opacity in the lower zone" points to a small, low box. For each keyword a
logistic regression is fitted on the boxes that the detector prefers on the sides that the reports
name; some of these boxes are wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from data_manifests.laterality import SIDES
from data_manifests.support.arrays import Bools, Floats, Ints

# Sides select the half of the film that a box is chosen from; the priors compare boxes within it.
SIDE_WORDS = (*SIDES, "bilateral")
MIN_EXAMPLES = 8  # boxes with and without a keyword; with fewer of either it is left out
INVERSE_PENALTY = 0.3  # LogisticRegression's C, on standardised features
MAX_PROBABILITY = 0.99  # no keyword excludes a box


@dataclass(frozen=True)
class WordPriors:
    """A logistic regression of F box features for each of J keywords.

    `index` (J,) positions of these keywords among all K; `mean`, `std` (F,) standardise features;
    `weights` (J, F) and `bias` (J,).
    """

    index: Ints
    mean: Floats
    std: Floats
    weights: Floats
    bias: Floats

    def log_likelihood(self, features: Floats, is_present: Bools, is_known: Bools) -> Floats:
        """log P(report | box), (N,), of boxes `features` (N, F) and one report's keywords (K,).

        Keywords that are not known are left out.
        """
        logits = (features - self.mean) / self.std @ self.weights.T + self.bias
        with np.errstate(over="ignore"):  # an overflow gives 0, which is clipped
            chance = np.clip(1 / (1 + np.exp(-logits)), 1 - MAX_PROBABILITY, MAX_PROBABILITY)
        each = np.where(is_present[self.index], np.log(chance), np.log(1 - chance))
        total: Floats = (each * is_known[self.index]).sum(axis=1)
        return total


def box_features(xyxy: Floats, width: float, height: float) -> Floats:
    """Place and size (N, 6) of boxes (N, 4) in film pixels; a mirrored box has the same."""
    x1, y1, x2, y2 = (xyxy / (width, height, width, height)).T
    tiny = 1e-3  # a thousandth of the film: logarithms of empty boxes
    return np.stack(
        [
            np.abs((x1 + x2) / 2 - 0.5),
            y1,
            y2,
            ((y1 + y2) / 2) ** 2,
            np.log(np.maximum(x2 - x1, tiny)),
            np.log(np.maximum(y2 - y1, tiny)),
        ],
        axis=1,
    )


def fit_word_priors(
    features: Floats, is_present: Bools, is_known: Bools, keywords: Sequence[str]
) -> WordPriors:
    """Fit on one box of each report: `features` (N, F); `is_present`, `is_known` (N, K) keywords.

    `SIDE_WORDS` and keywords with too few examples are left out.
    """
    width = features.shape[1]
    mean = features.mean(axis=0) if len(features) else np.zeros(width)
    std = np.maximum(features.std(axis=0), 1e-6) if len(features) else np.ones(width)
    index, weights, bias = [], [], []
    for k, keyword in enumerate(keywords):
        rows = is_known[:, k]
        positive = int(is_present[rows, k].sum())
        if keyword in SIDE_WORDS or min(positive, int(rows.sum()) - positive) < MIN_EXAMPLES:
            continue
        model = LogisticRegression(C=INVERSE_PENALTY, max_iter=500)
        model.fit((features[rows] - mean) / std, is_present[rows, k])
        index.append(k)
        weights.append(model.coef_[0])
        bias.append(float(model.intercept_[0]))
    return WordPriors(
        index=np.array(index, np.int64),
        mean=mean,
        std=std,
        weights=np.array(weights, np.float64).reshape(len(index), width),
        bias=np.array(bias, np.float64),
    )
