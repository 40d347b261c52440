"""The negative of every keyword: the word that contrasts with it in the triplet loss (T_n).

The paper takes the nearest word of the trained vectors. PAPER_DETAILS 2.6 shows what that gives on
raw text (severe -> advanced); restricted to keywords of the same axis it gives contrasts a reader
accepts.
"""

from __future__ import annotations

import numpy as np

from attributes.lexicon.entries import Lexicon
from data_manifests.support.arrays import Bools, Floats, Floats32, Ints
from data_manifests.support.errors import ConfigError

NEGATIVE_POLICIES = ("w2v-axis", "w2v-any", "fixed")


def choose_negatives(vectors: Floats32, lexicon: Lexicon, *, policy: str = "w2v-axis") -> Ints:
    """The index of every keyword's negative: vectors (K, d) float32 -> (K,) int64, never itself.

    `w2v-axis`: the nearest keyword (cosine) of the same axis; `w2v-any`: the nearest of all
    keywords;
    `fixed`: the one named in the lexicon. Under `w2v-axis` a keyword that overlaps (bilateral with
    left, lower with basal) is no candidate, as it may be true itself; a keyword without candidates
    takes the lexicon's. Ties go to the first keyword.

    Raises ConfigError for an unknown policy.
    """
    if policy not in NEGATIVE_POLICIES:
        raise ConfigError(
            f"negatives: expected one of {', '.join(NEGATIVE_POLICIES)}, got `{policy}`"
        )
    names = lexicon.keyword_names
    fixed = np.array(
        [names.index(keyword.negative) for keyword in lexicon.keywords], dtype=np.int64
    )
    if policy == "fixed":
        return fixed
    if policy == "w2v-any":
        return nearest_keywords(vectors)
    cosines = cosine_matrix(vectors)
    axes = np.array([keyword.axis for keyword in lexicon.keywords])
    allowed = ~np.eye(len(names), dtype=np.bool_)
    allowed &= axes[:, None] == axes[None, :]
    allowed &= ~_overlapping(lexicon)
    nearest = np.where(allowed, cosines, -np.inf).argmax(axis=1).astype(np.int64)
    return np.where(allowed.any(axis=1), nearest, fixed)


def nearest_keywords(vectors: Floats32) -> Ints:
    """The nearest other keyword (cosine) of each of vectors (K, d), (K,): the paper's T_n."""
    others = ~np.eye(len(vectors), dtype=np.bool_)
    nearest: Ints = np.where(others, cosine_matrix(vectors), -np.inf).argmax(axis=1)
    return nearest.astype(np.int64)


def cosine_matrix(vectors: Floats32) -> Floats:
    """Cosines of all pairs of rows: (K, d) -> (K, K) float64 in [-1, 1]; 0 for a zero row."""
    rows = vectors.astype(np.float64)
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)
    return np.asarray(np.clip(unit @ unit.T, -1.0, 1.0), dtype=np.float64)


def _overlapping(lexicon: Lexicon) -> Bools:
    """[i, j] is true where keyword j may be true of what keyword i describes."""
    return np.array(
        [
            [name in keyword.overlaps for name in lexicon.keyword_names]
            for keyword in lexicon.keywords
        ],
        dtype=np.bool_,
    )
