"""`word_answers`: how each region of a film answers to each keyword."""

from __future__ import annotations

import numpy as np

from data_manifests.support.arrays import Floats

EPS = 1e-8
LEAKY_SLOPE = 0.1  # as in the cross-attention


def word_answers(fused: Floats, vectors: Floats) -> Floats:
    """How each region answers to each word, (R, K) in [-1, 1].

    The cross-attention's own s_ij: cosine of phi `fused` (R, W) and m `vectors` (K, W), leaky ReLU,
    then L2 over the words, so that a region that answers to every word stands out for none.
    """
    cosine = _unit(fused) @ _unit(vectors).T
    clipped = np.where(cosine > 0, cosine, LEAKY_SLOPE * cosine)
    answers: Floats = clipped / (np.linalg.norm(clipped, axis=1, keepdims=True) + EPS)
    return answers


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + EPS)
    return unit
