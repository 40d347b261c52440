"""`evaluate`: a prediction against a manifest, every metric with its patient-bootstrap interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_manifests.support.arrays import Bools, Floats
from data_manifests.support.errors import DataError, Problem
from data_manifests.support.membership import is_member, places
from data_manifests.tables.columns import CORNERS
from data_manifests.tables.manifest import Manifest
from localize.evaluation.aligned_prediction import AlignedPrediction, align
from localize.evaluation.attribute_targets import target_matrix
from localize.evaluation.average_precision import COCO_THRESHOLDS, average_precision_measure
from localize.evaluation.bootstrap import bootstrap_values, estimates
from localize.evaluation.film_boxes import FilmBoxes, Overlaps, find_overlaps, make_film_boxes
from localize.evaluation.froc import froc_measure
from localize.evaluation.hits import iobb_measure, pointing_measure
from localize.evaluation.measure import Measure
from localize.evaluation.probability import attribute_measure, probability_measure
from localize.evaluation.report import Evaluation, FilmCounts, MetricRow
from localize.evaluation.rsna_score import best_score_threshold, rsna_measure
from localize.evaluation.top_k_recall import box_recall_measure, union_recall_measure
from localize.prediction.prediction_folder import PredictedFilms

IOU_THRESHOLDS: Floats = np.array([0.25, 0.5, 0.75])
FROC_THRESHOLDS = (0.25, 0.5)


@dataclass(frozen=True)
class EvaluationOptions:
    """Box scores from which a box counts for the RSNA score, IoBB and AFP; at 0 all boxes count.

    Choose them on validation films (`choose_score_threshold`), each for its own prediction.
    """

    score_threshold: float = 0.0
    baseline_score_threshold: float = 0.0


def evaluate(
    prediction: PredictedFilms,
    manifest: Manifest,
    *,
    seed: int = 0,
    replicates: int = 1000,
    baseline: PredictedFilms | None = None,
    targets: pd.DataFrame | None = None,
    options: EvaluationOptions | None = None,
) -> Evaluation:
    """Compare a prediction with the boxes and labels of a manifest.

    Films that the prediction or the baseline skipped take no part in any metric and are listed. A
    positive or unlabelled film without boxes has unknown boxes and takes no part in box metrics.

    Args:
        prediction: of exactly the films of the manifest.
        manifest: films with `boxes`, and `labels.pneumonia` (0/1/blank) where known.
        seed, replicates: of the patient bootstrap; 0 replicates give no intervals.
        baseline: another prediction of the same films; adds its values and paired differences.
        targets: a table with `study_id` or `image_id` and a column for each keyword; adds the
            attribute metrics. See `localize.evaluation.attribute_targets`.
        options: see `EvaluationOptions`.

    Raises:
        DataError: the prediction and the manifest have different films, a number is missing, or
            no film is left.
    """
    options = options or EvaluationOptions()
    both = [
        align(one, manifest, has_attributes=targets is not None)
        for one in ([prediction] if baseline is None else [prediction, baseline])
    ]
    is_ok = np.logical_and.reduce([one.is_ok for one in both])
    skipped = tuple(manifest.images["image_id"][~is_ok])
    part = manifest if is_ok.all() else manifest.subset(list(is_ok))
    both = [one.subset(is_ok) for one in both]
    if part.images.empty:
        raise _problem("at least one film that was not skipped", "none")
    patients = pd.factorize(part.images["patient_id"])[0].astype(np.int64)
    target = _film_targets(part)
    if (
        targets is None
        and part.boxes.empty
        and not ("pneumonia" in part.labels and np.isfinite(target).any())
    ):
        raise DataError.from_problems(
            [
                Problem(
                    "manifest",
                    "true boxes, labels of pneumonia, or targets of attributes",
                    f"none for {len(part.images)} films",
                    fix="give a manifest with boxes.csv or a pneumonia column in labels.csv",
                )
            ]
        )
    thresholds = (options.score_threshold, options.baseline_score_threshold)
    results = []
    for one, threshold in zip(both, thresholds, strict=False):
        boxes = _film_boxes(one, part, target)
        with_boxes = int((boxes.true_counts() > 0).sum())
        true_boxes, boxes_unknown = len(boxes.true_xyxy), int((~boxes.is_known).sum())
        measures, largest = _measures(one, boxes, part, target, targets, threshold)
        del boxes
        values = bootstrap_values(
            measures, patients, replicates=replicates, seed=seed, largest=largest
        )
        results.append(pd.DataFrame(values, columns=[k for m in measures for k in m.keys]))
    return Evaluation(
        rows=_rows(results),
        films=FilmCounts(
            evaluated=len(part.images),
            patients=len(np.unique(patients)),
            with_boxes=with_boxes,
            true_boxes=true_boxes,
            boxes_unknown=boxes_unknown,
            pneumonia=int((target == 1).sum()),
            no_pneumonia=int((target == 0).sum()),
            skipped=skipped,
        ),
        seed=seed,
        replicates=replicates,
        score_threshold=options.score_threshold,
        baseline_score_threshold=None if baseline is None else options.baseline_score_threshold,
    )


def choose_score_threshold(prediction: PredictedFilms, manifest: Manifest) -> float:
    """The box score threshold with the highest RSNA score; give validation films, never test ones.

    Raises:
        DataError: as `evaluate`.
    """
    aligned = align(prediction, manifest)
    part = manifest.subset(list(aligned.is_ok))
    boxes = _film_boxes(aligned.subset(aligned.is_ok), part, _film_targets(part))
    return best_score_threshold(boxes)


def film_boxes(prediction: PredictedFilms, manifest: Manifest) -> FilmBoxes:
    """Predicted and true boxes as a `FilmBoxes`, films in the order of the manifest.

    Raises:
        DataError: as `evaluate`.
    """
    return _film_boxes(align(prediction, manifest), manifest, _film_targets(manifest))


def _measures(
    prediction: AlignedPrediction,
    boxes: FilmBoxes,
    manifest: Manifest,
    target: Floats,
    targets: pd.DataFrame | None,
    score_threshold: float,
) -> tuple[list[Measure], int]:
    """All metrics of one prediction, and the longest array they work on."""
    overlaps = find_overlaps(boxes)
    top_k, chosen = boxes.first(boxes.true_counts()), boxes.above(score_threshold)
    measures = [
        box_recall_measure("iou", top_k, IOU_THRESHOLDS),
        union_recall_measure("union_iou", boxes.first(1), IOU_THRESHOLDS),
        box_recall_measure("best_iou", boxes, IOU_THRESHOLDS),
        union_recall_measure("best_union_iou", boxes, IOU_THRESHOLDS),
        _coco_measure(boxes, overlaps),
        rsna_measure(boxes, score_threshold),
        *(froc_measure(boxes, overlaps, threshold) for threshold in FROC_THRESHOLDS),
        iobb_measure(chosen, overlaps if chosen is boxes else find_overlaps(chosen)),
        pointing_measure(boxes),
    ]
    p_pneumonia = prediction.p_pneumonia
    if not np.isnan(p_pneumonia).all():
        _check_probabilities("images.csv", "p_pneumonia", p_pneumonia, target)
        measures.append(probability_measure("film", p_pneumonia, target))
    if targets is not None:
        keywords = prediction.keywords
        known = target_matrix(targets, manifest, keywords)
        probabilities = prediction.attributes
        for column, name in enumerate(keywords):
            _check_probabilities("attributes.csv", name, probabilities[:, column], known[:, column])
        if keywords:
            measures.append(attribute_measure(keywords, probabilities, known))
    return measures, max(len(boxes.pred_xyxy), len(manifest.images))


def _coco_measure(boxes: FilmBoxes, overlaps: Overlaps) -> Measure:
    """AP at IOU_THRESHOLDS and its mean over .5:.05:.95, from one matching."""
    ap = average_precision_measure(
        boxes, overlaps, np.concatenate([IOU_THRESHOLDS, COCO_THRESHOLDS])
    )
    count = len(IOU_THRESHOLDS)

    def values(weights: Floats) -> Floats:
        columns = ap.values(weights)
        mean = columns[:, count:].mean(axis=1, keepdims=True)
        return np.concatenate([columns[:, :count], mean], axis=1)

    return Measure((*ap.keys[:count], "ap_50_95"), values)


def _rows(results: list[pd.DataFrame]) -> tuple[MetricRow, ...]:
    """One row a metric; with a baseline also its value and the paired difference."""
    own = dict(zip(results[0].columns, estimates(results[0].to_numpy()), strict=True))
    if len(results) == 1:
        return tuple(MetricRow(key, estimate) for key, estimate in own.items())
    other = dict(zip(results[1].columns, estimates(results[1].to_numpy()), strict=True))
    shared = [key for key in results[0].columns if key in other]
    differences = results[0][shared].to_numpy() - results[1][shared].to_numpy()
    paired = dict(zip(shared, estimates(differences), strict=True))
    return tuple(
        MetricRow(key, estimate, other.get(key), paired.get(key)) for key, estimate in own.items()
    )


def _film_boxes(prediction: AlignedPrediction, manifest: Manifest, target: Floats) -> FilmBoxes:
    films = len(manifest.images)
    true_film = places(manifest.boxes["image_id"], manifest.images["image_id"])
    has_boxes = np.bincount(true_film, minlength=films) > 0
    labelled = "pneumonia" in manifest.labels
    is_known: Bools = has_boxes | (target == 0) if labelled else np.ones(films, np.bool_)
    return make_film_boxes(
        prediction.xyxy,
        prediction.score,
        prediction.film,
        manifest.boxes[list(CORNERS)].to_numpy(np.float64),
        true_film,
        films=films,
        is_known=is_known,
    )


def _film_targets(manifest: Manifest) -> Floats:
    """1 pneumonia, 0 none, NaN unknown; (I,). `labels.pneumonia` if there is one, else boxes."""
    has_boxes = is_member(manifest.images["image_id"], manifest.boxes["image_id"])
    if "pneumonia" not in manifest.labels:
        return has_boxes.astype(np.float64)
    labels = manifest.labels.drop_duplicates("image_id").set_index("image_id")["pneumonia"]
    values = pd.to_numeric(labels, errors="coerce").reindex(manifest.images["image_id"]).to_numpy()
    bad = np.isfinite(values) & ~np.isin(values, (0, 1))
    if bad.any():
        got = sorted({float(value) for value in values[bad]})[:5]
        raise DataError.from_problems(
            [Problem("labels.csv", "0, 1 or blank", f"{got}", field="pneumonia")]
        )
    target: Floats = np.where(np.isnan(values) & has_boxes, 1.0, values).astype(np.float64)
    return target


def _check_probabilities(file: str, field: str, probability: Floats, target: Floats) -> None:
    """Raise where a film that counts has no probability in [0, 1]."""
    inside = (probability >= 0) & (probability <= 1)  # NaN is not
    bad = np.flatnonzero(np.isfinite(target) & ~inside)
    if len(bad):
        raise DataError.from_problems(
            [
                Problem(
                    f"prediction {file}",
                    "a probability in [0, 1] for each film",
                    f"{len(bad)} films without, the first with {probability[bad[0]]}",
                    field=field,
                )
            ]
        )


def _problem(expected: str, got: str) -> DataError:
    return DataError.from_problems([Problem("prediction images.csv", expected, got)])
