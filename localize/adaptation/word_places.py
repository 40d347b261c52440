"""`WordPlaces`: how well a report's words fit a box, by its place and size.

"Mild focal opacity in the lower zone" is said of small low boxes. What each keyword says of place
and size is learned from films and reports alone: from the regions that a detector likes best on the
sides that the reports name, wrong ones among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression

from data_manifests.laterality import SIDES, WHOLE_FILM
from data_manifests.support.arrays import Bools, Floats, Ints

# These choose the side on which a region is looked for; place within the side is asked of the rest.
SIDE_WORDS = (*SIDES, "bilateral")
MIN_SAID = 8  # a keyword said, or not said, of fewer boxes teaches nothing
INVERSE_PENALTY = 0.3  # LogisticRegression's C, on standardised features
SURE = 0.99  # no word excludes a box


@dataclass(frozen=True)
class WordPlaces:
    """P(keyword is said | box): a logistic regression of the box's place and size for each keyword.

    `index` (J,) are the keywords that could be learned; `mean`, `std` (F,), `weights` (J, F) and
    `bias` (J,) their models.
    """

    index: Ints
    mean: Floats
    std: Floats
    weights: Floats
    bias: Floats

    def log_likelihood(self, places: Floats, said: Bools, known: Bools) -> Floats:
        """log P(words | box) of places (N, F) under one report's words (K,), (N,).

        Words that the report leaves open do not count.
        """
        logits = (places - self.mean) / self.std @ self.weights.T + self.bias
        chance = np.clip(1 / (1 + np.exp(-logits)), 1 - SURE, SURE)
        each = np.where(said[self.index], np.log(chance), np.log(1 - chance))
        total: Floats = (each * known[self.index]).sum(axis=1)
        return total


def box_places(xyxy: Floats, width: float, height: float) -> Floats:
    """Place and size of boxes (N, 4) on a film, (N, 6): the same on either side of the midline."""
    x1, y1, x2, y2 = (xyxy / (width, height, width, height)).T
    tiny = 1e-3  # a thousandth of the film: logarithms of empty boxes
    return np.stack(
        [
            np.abs((x1 + x2) / 2 - WHOLE_FILM.midline),
            y1,
            y2,
            ((y1 + y2) / 2) ** 2,
            np.log(np.maximum(x2 - x1, tiny)),
            np.log(np.maximum(y2 - y1, tiny)),
        ],
        axis=1,
    )


def fit_word_places(
    places: Floats, said: Bools, known: Bools, keywords: Sequence[str]
) -> WordPlaces:
    """Learn from boxes `places` (N, F) and what their reports say, `said` and `known` (N, K).

    Keywords of `SIDE_WORDS`, and those said of too few boxes, are left out.
    """
    features = places.shape[1]
    mean = places.mean(axis=0) if len(places) else np.zeros(features)
    std = np.maximum(places.std(axis=0), 1e-6) if len(places) else np.ones(features)
    index, weights, bias = [], [], []
    for k, keyword in enumerate(keywords):
        rows = known[:, k]
        positive = int(said[rows, k].sum())
        if keyword in SIDE_WORDS or min(positive, int(rows.sum()) - positive) < MIN_SAID:
            continue
        model = LogisticRegression(C=INVERSE_PENALTY, max_iter=500)
        model.fit((places[rows] - mean) / std, said[rows, k])
        index.append(k)
        weights.append(model.coef_[0])
        bias.append(float(model.intercept_[0]))
    return WordPlaces(
        index=np.array(index, np.int64),
        mean=mean,
        std=std,
        weights=np.array(weights, np.float64).reshape(len(index), features),
        bias=np.array(bias, np.float64),
    )
