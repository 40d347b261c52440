"""`FilmBoxes`: predicted and true boxes of many films as flat arrays, and their overlaps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from data_manifests.support.arrays import Bools, Floats, Ints, Ints32
from localize.evaluation.measure import narrow

# Rows of one film-by-film join: bounds the memory of a film with very many boxes.
MAX_PAIR_ROWS = 250_000
FILMS_OF_PART = 65_536  # matched together

Column = TypeVar("Column", Bools, Floats, Ints)


@dataclass(frozen=True)
class FilmBoxes:
    """Boxes of I films: P predicted ones with scores, G true ones.

    Predictions are ordered by film and, inside a film, by falling score (ties keep their order);
    true boxes are ordered by film. `pred_film`/`true_film` are film indices in [0, I), `pred_rank`
    is the place of a prediction inside its film, from 0. `is_known` (I,) tells on which films the
    true boxes are known, "none" included; other films have no boxes here. Use `make_film_boxes`.
    """

    pred_xyxy: Floats
    pred_score: Floats
    pred_film: Ints32
    pred_rank: Ints
    true_xyxy: Floats
    true_film: Ints32
    is_known: Bools

    @property
    def films(self) -> int:
        """The number of films, those with unknown boxes included."""
        return len(self.is_known)

    def true_counts(self) -> Ints:
        """True boxes of each film; (I,)."""
        return np.bincount(self.true_film, minlength=self.films).astype(np.int64)

    def pred_counts(self) -> Ints:
        """Predicted boxes of each film; (I,)."""
        return np.bincount(self.pred_film, minlength=self.films).astype(np.int64)

    def above(self, score: float) -> FilmBoxes:
        """The same films with only the predictions whose score is at least `score`."""
        return self._keep(self.pred_score >= score)

    def first(self, count: int | Ints) -> FilmBoxes:
        """The same films with the `count` best predictions of each (one number, or (I,))."""
        limit = np.broadcast_to(np.asarray(count, dtype=np.int64), (self.films,))
        return self._keep(self.pred_rank < limit[self.pred_film])

    def parts(self) -> Iterator[FilmBoxes]:
        """All films in order, some thousands at a time, one part at least; views, no copies."""
        for start in range(0, max(1, self.films), FILMS_OF_PART):
            ends = (start, start + FILMS_OF_PART)
            pred = slice(*np.searchsorted(self.pred_film, ends))
            true = slice(*np.searchsorted(self.true_film, ends))
            yield FilmBoxes(
                self.pred_xyxy[pred],
                self.pred_score[pred],
                self.pred_film[pred] - start,
                self.pred_rank[pred],
                self.true_xyxy[true],
                self.true_film[true] - start,
                self.is_known[slice(*ends)],
            )

    def _keep(self, keep: Bools) -> FilmBoxes:
        if keep.all():
            return self
        # Both selections cut a film's list from its end, so the ranks stay right.
        return FilmBoxes(
            self.pred_xyxy[keep],
            self.pred_score[keep],
            self.pred_film[keep],
            self.pred_rank[keep],
            self.true_xyxy,
            self.true_film,
            self.is_known,
        )


@dataclass(frozen=True)
class Overlaps:
    """All pairs of a predicted and a true box of one film that overlap.

    `pred`, `true` are row numbers into `FilmBoxes`; pairs are ordered by `pred`, then `true`.
    `iou` is intersection over union, `iobb` intersection over the area of the predicted box.
    """

    pred: Ints
    true: Ints
    iou: Floats
    iobb: Floats


def in_parts(boxes: FilmBoxes, work: Callable[[FilmBoxes], Column]) -> Column:
    """`work` of some films at a time, joined; its rows are films, predictions or true boxes.

    Films do not depend on each other, so this is `work(boxes)` with less memory.
    """
    return np.concatenate([work(part) for part in boxes.parts()])


def make_film_boxes(
    pred_xyxy: Floats,
    pred_score: Floats,
    pred_film: Ints | Ints32,
    true_xyxy: Floats,
    true_film: Ints | Ints32,
    *,
    films: int,
    is_known: Bools | None = None,
) -> FilmBoxes:
    """Sort boxes into a `FilmBoxes`; boxes of films that are not `is_known` are left out.

    Args:
        pred_xyxy, true_xyxy: (P, 4) and (G, 4) film pixels, x1 < x2, y1 < y2.
        pred_score: (P,), finite.
        pred_film, true_film: film index of each box.
        films: the number of films.
        is_known: (I,); all films by default.

    Raises:
        ValueError: arrays that do not belong together, or a score that is not finite.
    """
    known = np.ones(films, dtype=np.bool_) if is_known is None else np.asarray(is_known, np.bool_)
    if len(known) != films or len(pred_xyxy) != len(pred_score) or len(pred_xyxy) != len(pred_film):
        raise ValueError(
            f"expected one score and film for each of {len(pred_xyxy)} boxes and {films} flags, "
            f"but got {len(pred_score)}, {len(pred_film)} and {len(known)}"
        )
    if not np.isfinite(pred_score).all():
        raise ValueError("scores must be finite")
    pred_film, true_film = np.asarray(pred_film, np.int32), np.asarray(true_film, np.int32)
    order = np.lexsort((-np.asarray(pred_score, np.float64), pred_film))
    rows = _view_or_rows(order[known[pred_film[order]]], len(pred_film))
    del order
    true_order = np.argsort(true_film, kind="stable")
    true_rows = _view_or_rows(true_order[known[true_film[true_order]]], len(true_film))
    return FilmBoxes(
        pred_xyxy=np.asarray(pred_xyxy, np.float64).reshape(-1, 4)[rows],
        pred_score=np.asarray(pred_score, np.float64)[rows],
        pred_film=pred_film[rows],
        pred_rank=narrow(rank_in_group(pred_film[rows])),
        true_xyxy=np.asarray(true_xyxy, np.float64).reshape(-1, 4)[true_rows],
        true_film=true_film[true_rows],
        is_known=known,
    )


def _view_or_rows(rows: Ints, count: int) -> Ints | slice:
    """`rows`, or all as a slice, which copies nothing, where they are 0 to `count` in order."""
    if len(rows) == count and bool((rows == np.arange(count)).all()):
        return slice(None)
    return rows


def rank_in_group(group: Ints | Ints32) -> Ints:
    """Place of each row inside its run of equal values; (N,) from 0. `group` is sorted."""
    if not len(group):
        return np.zeros(0, dtype=np.int64)
    starts = np.flatnonzero(np.r_[True, group[1:] != group[:-1]])
    lengths = np.diff(np.r_[starts, len(group)])
    ranks: Ints = np.arange(len(group), dtype=np.int64) - np.repeat(starts, lengths)
    return ranks


def find_overlaps(boxes: FilmBoxes) -> Overlaps:
    """The overlapping pairs of all films, without a loop over films."""
    true_counts = boxes.true_counts()
    true_starts = np.r_[0, np.cumsum(true_counts)[:-1]] if boxes.films else true_counts
    pairs_of_pred = true_counts[boxes.pred_film]
    parts = []
    # Cut between predictions so that each part joins at most about MAX_PAIR_ROWS pairs.
    cuts = np.searchsorted(
        np.cumsum(pairs_of_pred),
        np.arange(MAX_PAIR_ROWS, pairs_of_pred.sum(), MAX_PAIR_ROWS),
    )
    for rows in np.split(np.arange(len(pairs_of_pred)), cuts):
        counts = pairs_of_pred[rows]
        pred = np.repeat(rows, counts)
        place = np.arange(len(pred)) - np.repeat(np.cumsum(counts) - counts, counts)
        true = true_starts[boxes.pred_film[pred]] + place
        parts.append(_overlapping(boxes, pred, true))
    return Overlaps(
        pred=np.concatenate([part.pred for part in parts]),
        true=np.concatenate([part.true for part in parts]),
        iou=np.concatenate([part.iou for part in parts]),
        iobb=np.concatenate([part.iobb for part in parts]),
    )


def _overlapping(boxes: FilmBoxes, pred: Ints, true: Ints) -> Overlaps:
    a, b = boxes.pred_xyxy[pred], boxes.true_xyxy[true]
    width = np.minimum(a[:, 2], b[:, 2]) - np.maximum(a[:, 0], b[:, 0])
    height = np.minimum(a[:, 3], b[:, 3]) - np.maximum(a[:, 1], b[:, 1])
    keep = (width > 0) & (height > 0)
    a, b, intersection = a[keep], b[keep], (width * height)[keep]
    area_a = (a[:, 2] - a[:, 0]) * (a[:, 3] - a[:, 1])
    area_b = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    return Overlaps(
        pred=pred[keep],
        true=true[keep],
        iou=intersection / (area_a + area_b - intersection),
        iobb=intersection / area_a,
    )
