"""What the gates of each method are taught: by reports, by parts of them, by none, by the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from data_manifests.support.arrays import Floats, Floats32
from detector.film_maps import NO_REGION, FilmMaps
from experiments.attention.pair_films import PairFilms
from localize.adaptation.opacity_words import FilmWords, OpacityWords
from localize.adaptation.report_teacher import (
    Teacher,
    shuffle_reports,
    targets_of,
    teach_by_reports,
)
from localize.adaptation.teach_by_places import box_values
from localize.training.train_gate import GateTargets


def label_candidates(
    source: str,
    pairs: PairFilms,
    scores: Floats32,
    *,
    teacher: Teacher,
    seed: int,
    device: torch.device,
) -> GateTargets:
    """Targets of a source: words, sides, finding, shuffled, own, truth; `scores` (F, C) logits."""
    if source == "truth":
        return label_by_truth(pairs.maps, pairs.true_boxes, teacher.levels)
    reports = _reports(source, pairs, scores, seed)
    uses_words = source in ("words", "shuffled")
    return teach_by_reports(
        pairs.maps,
        reports,
        pairs.keywords,
        scores,
        teacher=teacher if uses_words else teacher.model_copy(update={"word_weight": 0.0}),
        priors=None,
        device=device,
    )


def _reports(source: str, pairs: PairFilms, scores: Floats32, seed: int) -> Sequence[FilmWords]:
    if source == "finding":
        return [_finding_only(one) for one in pairs.reports]
    if source == "shuffled":
        return shuffle_reports(pairs.reports, seed)
    if source == "own":
        return own_reports(pairs.maps, pairs.reports, scores)
    return pairs.reports


def label_by_truth(
    films: FilmMaps, true_boxes: Sequence[Floats], levels: Sequence[float]
) -> GateTargets:
    """The ceiling: the share of the `levels` that a candidate's IoU with a true box reaches."""
    values = box_values(films, true_boxes, levels)
    return targets_of(films, np.arange(len(values)), values)


def own_reports(films: FilmMaps, reports: Sequence[FilmWords], scores: Floats32) -> list[FilmWords]:
    """No text, the same shares: of the labelled films as many count as boxed as reports state an
    opacity, those with the highest score; as many of these on both sides as reports name both.

    As many films as there are hedged reports are left out, those nearest to the border.
    """
    boxed = sum(one.has_opacity is True for one in reports)
    empty = sum(one.has_opacity is False for one in reports)
    both = sum(len({part.side for part in one.opacities} - {None}) == 2 for one in reports)
    on_left = (films.boxes[..., 0] + films.boxes[..., 2]) > films.sizes[:, :1]
    valid = films.logits > NO_REGION
    left, right = (
        np.where(valid & side, scores, NO_REGION).max(axis=1) for side in (on_left, ~on_left)
    )
    order = np.argsort(-np.maximum(left, right), kind="stable")
    chosen, clear = order[:boxed], set(order[len(order) - empty :].tolist())
    two = set(chosen[np.argsort(-np.minimum(left, right)[chosen], kind="stable")[:both]].tolist())
    taken = set(chosen.tolist())
    words = np.zeros(next((len(part.words) for one in reports for part in one.opacities), 0), bool)
    made = []
    for row in range(len(reports)):
        if row in taken:
            best = "left" if left[row] >= right[row] else "right"
            sides = ("left", "right") if row in two else (best,)
            made.append(FilmWords(True, tuple(OpacityWords(side, words) for side in sides)))  # type: ignore[arg-type]
        else:
            made.append(FilmWords(False if row in clear else None, ()))
    return made


def _finding_only(report: FilmWords) -> FilmWords:
    """An opacity somewhere."""
    if not report.opacities:
        return report
    nothing = np.zeros_like(report.opacities[0].words)
    return FilmWords(report.has_opacity, (OpacityWords(None, nothing),))
