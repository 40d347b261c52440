"""`PlacePrior`: P(box | words of place and size), from the boxes of another hospital.

Boxes imply words (`implied_words`), so the old hospital's boxes show where an opacity lies that is
called "peripheral, in the right middle and lower zones". How often the new hospital's reports use
each word tells how its opacities differ: the old boxes are weighted so that they imply the words as
often (raking, Deming & Stephan 1940).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from data_manifests.support.arrays import Bools, Floats
from data_manifests.tables.manifest import Manifest
from localize.adaptation.place_words import PlaceWords, implied_words, mirrored

MIN_BOXES = 15  # fewer boxes that imply a word: it is not used
SHRINK_BOXES = 20  # a prior covariance counts as so many boxes
PRIOR_SPREAD = 0.3  # of the variances of all boxes
RAKING_ROUNDS = 30


@dataclass(frozen=True)
class BoxDistribution:
    """A normal distribution of mirrored boxes: `mean` (4,) and `precision` (4, 4)."""

    mean: Floats
    precision: Floats

    def log_density(self, boxes: Floats) -> Floats:
        """(N,) log density of mirrored boxes (N, 4), without its constant."""
        away = boxes - self.mean
        value: Floats = -0.5 * np.einsum("ni,ij,nj->n", away, self.precision, away)
        return value


@dataclass(frozen=True)
class PlacePrior:
    """Mirrored `boxes` (N, 4) of the old hospital, the `words` that they imply, `weights` (N,)."""

    boxes: Floats
    words: Sequence[PlaceWords]
    weights: Floats
    _known: dict[PlaceWords, BoxDistribution] = field(default_factory=dict)

    def given(self, words: PlaceWords) -> BoxDistribution:
        """The boxes that imply these words; what is not said is not asked for."""
        if words not in self._known:
            self._known[words] = self._fit(words)
        return self._known[words]

    def _fit(self, words: PlaceWords) -> BoxDistribution:
        weights = self.weights
        for is_meant in _conditions(words, self.words):
            if (is_meant & (weights > 0)).sum() >= MIN_BOXES:
                weights = np.where(is_meant, weights, 0.0)
        mean = np.average(self.boxes, axis=0, weights=weights)
        count = weights.sum() ** 2 / (weights**2).sum()
        variances = np.cov(self.boxes.T, aweights=self.weights).diagonal()
        prior = np.diag(PRIOR_SPREAD * variances)
        spread = np.cov(self.boxes.T, aweights=weights)
        spread = (count * spread + SHRINK_BOXES * prior) / (count + SHRINK_BOXES)
        return BoxDistribution(mean, np.linalg.inv(spread))


def fit_place_prior(boxed: Manifest, said: Iterable[PlaceWords]) -> PlacePrior:
    """The prior from the boxes of `boxed`, weighted to the words `said` in the new reports."""
    sizes = boxed.images.set_index("image_id")[["width", "height"]].loc[boxed.boxes["image_id"]]
    corners = boxed.boxes[["x1", "y1", "x2", "y2"]].to_numpy(np.float64)
    shares = corners / np.tile(sizes.to_numpy(np.float64), 2)
    words = [implied_words(box) for box in shares]
    return PlacePrior(mirrored(shares), words, _raked(words, list(said)))


def _conditions(words: PlaceWords, implied: Sequence[PlaceWords]) -> list[Bools]:
    """Which boxes imply the zones, the depth, the extent, as far as they are said."""
    return [
        np.array([getattr(one, name) == getattr(words, name) for one in implied], np.bool_)
        for name in ("zones", "depth", "extent")
        if getattr(words, name)
    ]


def _raked(implied: Sequence[PlaceWords], said: Sequence[PlaceWords]) -> Floats:
    """Weights (N,) with a mean of 1.

    Zones: each combination as often as the reports say it. Depth and extent, which reports may or
    may not mention: the ratio of their two words as in the reports.
    """
    weights = np.ones(len(implied))
    for _ in range(RAKING_ROUNDS):
        total = weights.sum()
        zoned = [one.zones for one in said if one.zones]
        for zones in set(zoned):
            here = np.array([one.zones == zones for one in implied])
            if here.any():
                weights[here] *= zoned.count(zones) / len(zoned) * total / weights[here].sum()
        for name, low, high in (("depth", "central", "peripheral"), ("extent", "small", "large")):
            is_low, is_high = (
                np.array([getattr(one, name) == word for one in implied]) for word in (low, high)
            )
            counts = [sum(getattr(one, name) == word for one in said) for word in (low, high)]
            if min(counts) == 0 or not is_low.any() or not is_high.any():
                continue
            wanted = counts[1] / counts[0]
            factor = np.sqrt(wanted / (weights[is_high].sum() / weights[is_low].sum()))
            weights[is_high] *= factor
            weights[is_low] /= factor
    mean: Floats = weights / weights.mean()
    return mean
