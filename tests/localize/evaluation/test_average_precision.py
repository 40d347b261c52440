from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from localize.evaluation.average_precision import (
    COCO_THRESHOLDS,
    average_precision_measure,
    coco_average_precision,
)
from localize.evaluation.film_boxes import make_film_boxes
from tests.localize.evaluation.slow_loops import random_film_boxes


def pycocotools_ap(boxes, thresholds):
    coco_module = pytest.importorskip("pycocotools.coco")
    from pycocotools.cocoeval import COCOeval

    def xywh(box):
        return [*box[:2], box[2] - box[0], box[3] - box[1]]

    truth = coco_module.COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": film + 1} for film in range(boxes.films)],
        "categories": [{"id": 1, "name": "opacity"}],
        "annotations": [
            {
                "id": row + 1,  # an id of 0 makes COCOeval lose the match
                "image_id": int(film) + 1,
                "category_id": 1,
                "bbox": xywh(box),
                "area": float((box[2] - box[0]) * (box[3] - box[1])),
                "iscrowd": 0,
            }
            for row, (box, film) in enumerate(zip(boxes.true_xyxy, boxes.true_film, strict=True))
        ],
    }
    results = [
        {"image_id": int(film) + 1, "category_id": 1, "bbox": xywh(box), "score": float(score)}
        for box, film, score in zip(boxes.pred_xyxy, boxes.pred_film, boxes.pred_score, strict=True)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        evaluator = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluator.params.iouThrs = thresholds
        evaluator.evaluate()
        evaluator.accumulate()
    return evaluator.eval["precision"][:, :, 0, 0, 2].mean(axis=1)


@pytest.mark.parametrize(
    ("seed", "tied", "max_pred"),
    [(0, False, 8), (1, True, 8), (2, True, 40), (3, False, 160)],
    ids=["plain", "tied scores", "many tied", "more than maxDets"],
)
def test_ap_equals_pycocotools(seed, tied, max_pred):
    boxes = random_film_boxes(seed, films=60, max_pred=max_pred, tied=tied)
    thresholds = np.concatenate([[0.25], COCO_THRESHOLDS])
    ours = coco_average_precision(boxes, thresholds)
    np.testing.assert_allclose(ours, pycocotools_ap(boxes, thresholds), atol=1e-9)
    assert ours[0] > ours[-1]


def test_film_weights_equal_copies_of_the_films():
    boxes = random_film_boxes(5, films=12)
    weights = np.array([0, 1, 2, 3, 1, 0, 1, 2, 0, 4, 1, 1])
    measure = average_precision_measure(boxes, COCO_THRESHOLDS)
    copies = np.repeat(np.arange(12), weights)
    pred = [np.flatnonzero(boxes.pred_film == film) for film in copies]
    true = [np.flatnonzero(boxes.true_film == film) for film in copies]
    expanded = make_film_boxes(
        boxes.pred_xyxy[np.concatenate(pred)],
        boxes.pred_score[np.concatenate(pred)],
        np.repeat(np.arange(len(copies)), [len(rows) for rows in pred]),
        boxes.true_xyxy[np.concatenate(true)],
        np.repeat(np.arange(len(copies)), [len(rows) for rows in true]),
        films=len(copies),
    )
    np.testing.assert_allclose(
        measure.values(weights[None].astype(float))[0],
        coco_average_precision(expanded, COCO_THRESHOLDS),
        atol=1e-12,
    )


def test_ap_is_undefined_without_true_boxes_and_zero_without_predictions():
    nothing = random_film_boxes(0, max_true=0)
    assert np.isnan(coco_average_precision(nothing)).all()
    silent = random_film_boxes(0, max_pred=0)
    assert (coco_average_precision(silent) == 0).all()
