"""`word_similarities`: the cross-attention's s_ij of the regions of a film and the keywords."""

from __future__ import annotations

import numpy as np

from data_manifests.support.arrays import Floats

EPS = 1e-8
LEAKY_SLOPE = 0.1  # as in the cross-attention


def word_similarities(fused: Floats, vectors: Floats) -> Floats:
    """Similarity of each region and keyword, (R, K) in [-1, 1].

    Cosine of phi `fused` (R, W) and m `vectors` (K, W), leaky ReLU, then L2 over the words: a
    region that is similar to every word stands out for none.
    """
    cosine = _unit(fused) @ _unit(vectors).T
    clipped = np.where(cosine > 0, cosine, LEAKY_SLOPE * cosine)
    similarities: Floats = clipped / (np.linalg.norm(clipped, axis=1, keepdims=True) + EPS)
    return similarities


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + EPS)
    return unit
