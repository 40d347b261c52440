"""`AlignedPrediction`: what an evaluation needs of a prediction, in the order of a manifest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_manifests.support.arrays import Bools, Floats, Ints, Ints32
from data_manifests.support.errors import DataError, Problem
from data_manifests.tables.columns import CORNERS
from localize.prediction.prediction_folder import PredictedFilms
from localize.prediction.tables import Prediction


@dataclass(frozen=True)
class AlignedPrediction:
    """A prediction of the I films of a manifest, in the manifest's order; P boxes in any order.

    Args:
        is_ok: (I,) which films were predicted, not skipped.
        p_pneumonia: (I,) probabilities, NaN where not stated.
        attributes: (I, K) probabilities, NaN where not stated; K is 0 where they were not asked
            for.
        keywords: K names.
        xyxy: (P, 4) film pixels.
        score: (P,) finite.
        film: (P,) row of the box's film in the manifest.
    """

    is_ok: Bools
    p_pneumonia: Floats
    attributes: Floats
    keywords: tuple[str, ...]
    xyxy: Floats
    score: Floats
    film: Ints32

    def subset(self, keep: Bools) -> AlignedPrediction:
        """The films where `keep` (I,) is true, as `Manifest.subset`."""
        if keep.all():
            return self
        row_of = np.cumsum(keep, dtype=np.int64) - 1
        boxes = keep[self.film]
        return AlignedPrediction(
            is_ok=self.is_ok[keep],
            p_pneumonia=self.p_pneumonia[keep],
            attributes=self.attributes[keep],
            keywords=self.keywords,
            xyxy=self.xyxy[boxes],
            score=self.score[boxes],
            film=row_of[self.film[boxes]].astype(np.int32),
        )


def align(
    prediction: PredictedFilms, image_ids: pd.Series, *, has_attributes: bool = False
) -> AlignedPrediction:
    """The arrays of a prediction of the films `image_ids`; `has_attributes`: of attributes, too.

    Raises:
        DataError: the prediction has other films, or a box has no finite score.
    """
    count = len(image_ids)
    keywords = prediction.keywords() if has_attributes else ()
    times = np.zeros(count, np.int32)  # that each film was predicted
    is_ok = np.zeros(count, np.bool_)
    p_pneumonia = np.full(count, np.nan)
    attributes = np.full((count, len(keywords)), np.nan)
    boxes = prediction.count_boxes()
    xyxy, score, film = np.empty((boxes, 4)), np.empty(boxes), np.empty(boxes, np.int32)
    done = 0
    places = _Rows(image_ids)
    unknown: list[str] = []
    predicted = 0
    for part in prediction.parts():
        _check_scores(part)
        ids = part.images["image_id"]
        predicted += len(ids)
        row = places.of(ids)
        is_known = row >= 0
        unknown += ids[~is_known].tolist()
        known = row[is_known]
        np.add.at(times, known, 1)
        is_ok[known] = (part.images["status"] == "ok").to_numpy(np.bool_)[is_known]
        p_pneumonia[known] = part.images["p_pneumonia"].to_numpy(np.float64)[is_known]
        if keywords:
            at = _of_films(row, ids, part.attributes["image_id"])
            values = part.attributes[list(keywords)].to_numpy(np.float64)
            attributes[at[at >= 0]] = values[at >= 0]
        at = _of_films(row, ids, part.boxes["image_id"])
        rows = slice(done, done + int((at >= 0).sum()))
        xyxy[rows] = part.boxes[list(CORNERS)].to_numpy(np.float64)[at >= 0]
        score[rows] = part.boxes["score"].to_numpy(np.float64)[at >= 0]
        film[rows] = at[at >= 0]
        done = rows.stop
    _refuse_other_films(image_ids, times, unknown, predicted)
    return AlignedPrediction(
        is_ok=is_ok,
        p_pneumonia=p_pneumonia,
        attributes=attributes,
        keywords=keywords,
        xyxy=xyxy[:done],
        score=score[:done],
        film=film[:done],
    )


class _Rows:
    """Finds the rows of films; without an index as long as they come in the manifest's order."""

    def __init__(self, known: pd.Series) -> None:
        self._known = known.reset_index(drop=True)
        self._next = 0
        self._index: pd.Index | None = None

    def of(self, ids: pd.Series) -> Ints:
        """The row of each id, -1 where there is none."""
        if self._index is None:
            expected = self._known.iloc[self._next : self._next + len(ids)]
            if len(expected) == len(ids) and bool((expected.to_numpy() == ids.to_numpy()).all()):
                self._next += len(ids)
                return np.arange(self._next - len(ids), self._next, dtype=np.int64)
            self._index = pd.Index(self._known)
        return self._index.get_indexer(pd.Index(ids)).astype(np.int64)


def _of_films(row: Ints, ids: pd.Series, wanted: pd.Series) -> Ints:
    """The row of the film of each of `wanted`: `row` of its place in `ids`; -1 where unknown."""
    is_first = ~ids.duplicated().to_numpy(bool)
    place = pd.Index(ids[is_first]).get_indexer(pd.Index(wanted))
    found: Ints = np.append(row[is_first], -1)[place]  # -1 is the last
    return found


def _check_scores(part: Prediction) -> None:
    score = part.boxes["score"].to_numpy(np.float64)
    if not np.isfinite(score).all():
        rows = part.boxes.index[~np.isfinite(score)]
        raise DataError.from_problems(
            [Problem("boxes.csv", "a finite score", "none", int(r) + 2, "score") for r in rows]
        )


def _refuse_other_films(
    known: pd.Series, times: NDArray[np.int32], unknown: list[str], predicted: int
) -> None:
    """Raise where the prediction and the manifest do not name the same films."""
    problems = [
        Problem("prediction images.csv", "each film once", repr(image_id), field="image_id")
        for image_id in known[times > 1]
    ]
    missing = known[times == 0]
    for file, other, count, ids, fix in (
        (
            "prediction",
            "manifest",
            len(known),
            missing.tolist(),
            "predict them, or evaluate on a subset of the manifest",
        ),
        (
            "manifest",
            "prediction",
            predicted,
            unknown,
            "give the manifest (or its --split) that was predicted",
        ),
    ):
        if ids:
            examples = ", ".join(repr(image_id) for image_id in ids[:3])
            problems.append(
                Problem(
                    f"{file} images.csv",
                    f"all {count} films of the {other}",
                    f"{len(ids)} missing, such as {examples}",
                    field="image_id",
                    fix=fix,
                )
            )
    if problems:
        raise DataError.from_problems(problems)
