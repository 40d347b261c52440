"""Words to regions: which regions of a film answer to a keyword, and on which side they lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SIDES = ("left", "right")  # the patient's
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


def is_on_side(xyxy: Floats, width: int, side: str) -> NDArray[np.bool_]:
    """Whether box centres (R, 4) lie on the patient's `left` or `right` side of a frontal film.

    The patient's left is the right half of the film.
    """
    centre = (xyxy[:, 0] + xyxy[:, 2]) / 2
    on_left: NDArray[np.bool_] = centre > width / 2
    return on_left if side == "left" else ~on_left


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / (np.linalg.norm(vectors, axis=1, keepdims=True) + EPS)
    return unit
