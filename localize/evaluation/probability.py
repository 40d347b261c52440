"""AUC, average precision, accuracy and calibration of probabilities under film weights."""

from __future__ import annotations

import numpy as np

from data_manifests.support.arrays import Bools, Floats, Ints
from localize.evaluation.measure import Measure, divide, narrow, weighted_sums

CALIBRATION_BINS = 10
DECISION = 0.5
METRICS = ("auc", "ap", "accuracy", "ece")
POOLED_AT_A_TIME = 16  # draws of the bootstrap: all would repeat gigabytes of weights


def probability_measure(prefix: str, probability: Floats, target: Floats) -> Measure:
    """AUC, AP, accuracy at 0.5 and expected calibration error of probabilities in [0, 1].

    Args:
        prefix: of the keys `{prefix}_auc`, `_ap`, `_accuracy`, `_ece`.
        probability: (I,); must be finite where the target is.
        target: (I,) 0, 1, or NaN for a film that does not count.

    Definitions are scikit-learn's `roc_auc_score` and `average_precision_score` with sample
    weights; ECE has 10 equal bins, weighted by their films. AUC and AP need both classes.
    """
    counts = np.isfinite(target)
    # Unknown films get weight 0 in both classes.
    is_positive = counts & (target > DECISION)
    is_negative = counts & (target <= DECISION)
    level = np.where(counts, probability, 0.0)
    order = narrow(np.argsort(-level, kind="stable"))  # falling probability
    level = level[order]
    is_end = np.ones(len(level), np.bool_)
    is_end[:-1] = level[1:] != level[:-1]
    calibration = _calibration_bins(probability, target, counts)
    is_right = counts & ((probability >= DECISION) == (target > DECISION))

    def values(weights: Floats) -> Floats:
        true = np.cumsum((weights * is_positive)[:, order], axis=1)[:, is_end]
        false = np.cumsum((weights * is_negative)[:, order], axis=1)[:, is_end]
        positives, negatives = true[:, -1].copy(), false[:, -1]
        is_defined = (positives > 0) & (negatives > 0)
        gain = np.diff(true, axis=1, prepend=0)
        precision = np.nan_to_num(divide(true, true + false), copy=False)
        ap = np.where(is_defined, divide(_row_dots(gain, precision), positives), np.nan)
        true -= gain / 2  # ties count half
        auc = divide(_row_dots(np.diff(false, axis=1, prepend=0), true), positives * negatives)
        total = positives + negatives
        accuracy = divide(weighted_sums(weights, is_right[:, None])[:, 0], total)
        gaps = sum(np.abs(weights[:, films] @ gap) for films, gap in calibration)
        ece = divide(np.asarray(gaps), total)
        return np.stack([auc, ap, accuracy, ece], axis=1)

    return Measure(tuple(f"{prefix}_{name}" for name in METRICS), values)


def _row_dots(one: Floats, other: Floats) -> Floats:
    """The sum over each row of products, which are not kept: (R, N) and (R, N) to (R,)."""
    dots: Floats = np.einsum("rn,rn->r", one, other)
    return dots


def _calibration_bins(
    probability: Floats, target: Floats, counts: Bools
) -> list[tuple[Ints, Floats]]:
    """The films of each bin that count, and their target - probability."""
    known = np.flatnonzero(counts)
    bins = (probability[known] * CALIBRATION_BINS).astype(np.int64)
    bins = np.minimum(bins, CALIBRATION_BINS - 1)
    films = [narrow(known[bins == number]) for number in range(CALIBRATION_BINS)]
    return [(rows, target[rows] - probability[rows]) for rows in films]


def attribute_measure(keywords: tuple[str, ...], probabilities: Floats, targets: Floats) -> Measure:
    """`probability_measure` of each keyword, of their means ("macro"), and pooled.

    Args:
        keywords: K names.
        probabilities, targets: (I, K) as in `probability_measure`.

    The keys are `attribute_{keyword}_{metric}`, `attribute_macro_{metric}` (the mean over the
    keywords where the metric is defined) and `attribute_pooled_{metric}`: all pairs of a film and
    a keyword together, so that an AUC also rewards saying rare keywords rarely.
    """
    parts = [
        probability_measure(f"attribute_{name}", probabilities[:, column], targets[:, column])
        for column, name in enumerate(keywords)
    ]

    pooled = probability_measure("attribute_pooled", probabilities.ravel(), targets.ravel())

    def values(weights: Floats) -> Floats:
        stacked = np.stack([part.values(weights) for part in parts], axis=1)
        defined = np.isfinite(stacked)
        macro = divide(np.where(defined, stacked, 0.0).sum(axis=1), defined.sum(axis=1))
        together = [
            pooled.values(np.repeat(some, len(keywords), axis=1))
            for some in np.array_split(weights, -(-len(weights) // POOLED_AT_A_TIME))
        ]
        each = stacked.reshape(len(weights), -1)
        return np.concatenate([each, macro, np.concatenate(together)], axis=1)

    macro_keys = tuple(f"attribute_macro_{name}" for name in METRICS)
    keys = (*(key for part in parts for key in part.keys), *macro_keys, *pooled.keys)
    return Measure(keys, values)
