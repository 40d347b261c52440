"""Average precision of 100,000 boxes against pycocotools."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from data_manifests.support.arrays import Floats, Ints
from experiments.benchmark.rows import BenchmarkRow, alternately
from experiments.benchmark.sizes import Bench
from localize.evaluation.average_precision import coco_average_precision
from localize.evaluation.film_boxes import FilmBoxes, make_film_boxes

BOXES_A_FILM = 10
ALL_AREAS = [[0, 1e10]]


def evaluation_rows(bench: Bench) -> Iterator[BenchmarkRow]:
    """AP at ten thresholds, from arrays to numbers; pycocotools from its index to numbers."""
    arrays = RandomBoxes(bench.size.boxes)
    reference = coco_reference(arrays)
    ours_ap = coco_average_precision(arrays.film_boxes())
    theirs_ap = run_coco(reference)
    ours, theirs = alternately(
        [lambda: coco_average_precision(arrays.film_boxes()), lambda: run_coco(reference)],
        bench.runs,
    )
    yield BenchmarkRow(
        name="evaluate_vs_pycocotools",
        group="evaluate",
        what=f"COCO AP at ten thresholds, {bench.size.boxes} boxes on {arrays.films} films",
        ours=ours,
        baseline=theirs,
        baseline_is="pycocotools evaluate and accumulate, one area range, its index made before",
        ratio_is="baseline / ours",
        goal=">= 1.00",
        unit="s",
        runs=bench.runs,
        detail={"largest_ap_difference": float(np.abs(ours_ap - theirs_ap).max())},
    )


class RandomBoxes:
    """Predicted boxes around true ones, two true boxes a film."""

    def __init__(self, boxes: int) -> None:
        random = np.random.default_rng(0)
        self.films = -(-boxes // BOXES_A_FILM)
        self.true_film: Ints = np.repeat(np.arange(self.films), 2)
        self.true_xyxy = _boxes(random, len(self.true_film))
        self.pred_film: Ints = np.arange(boxes) % self.films
        about = self.true_xyxy[2 * self.pred_film + random.integers(0, 2, boxes)]
        moved = about + random.normal(0, 40, (boxes, 4))
        self.pred_xyxy = np.hstack(
            [moved[:, :2], np.maximum(moved[:, 2:], moved[:, :2] + 10)]
        ).round(2)
        self.pred_score: Floats = random.random(boxes)

    def film_boxes(self) -> FilmBoxes:
        """The boxes as input of our metrics."""
        return make_film_boxes(
            self.pred_xyxy,
            self.pred_score,
            self.pred_film,
            self.true_xyxy,
            self.true_film,
            films=self.films,
        )


def _boxes(random: np.random.Generator, count: int) -> Floats:
    corner = random.uniform(0, 600, (count, 2))
    boxes: Floats = np.hstack([corner, corner + random.uniform(80, 400, (count, 2))]).round(2)
    return boxes


def coco_reference(boxes: RandomBoxes) -> COCOeval:
    """pycocotools' evaluation of the same boxes, indexed and ready to run."""

    def entries(xyxy: Floats, films: Ints, scores: Floats | None) -> list[dict[str, object]]:
        sizes = xyxy[:, 2:] - xyxy[:, :2]
        return [
            {
                "id": k + 1,
                "image_id": int(film),
                "category_id": 1,
                "bbox": [*corner, *size],
                "area": size[0] * size[1],
                "iscrowd": 0,
                **({} if scores is None else {"score": float(scores[k])}),
            }
            for k, (corner, size, film) in enumerate(
                zip(xyxy[:, :2].tolist(), sizes.tolist(), films, strict=True)
            )
        ]

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": film} for film in range(boxes.films)],
            "categories": [{"id": 1, "name": "opacity"}],
            "annotations": entries(boxes.true_xyxy, boxes.true_film, None),
        }
        truth.createIndex()
        found = truth.loadRes(entries(boxes.pred_xyxy, boxes.pred_film, boxes.pred_score))
        evaluation = COCOeval(truth, found, "bbox")
    evaluation.params.areaRng, evaluation.params.areaRngLbl = ALL_AREAS, ["all"]
    evaluation.params.maxDets = [100]
    return evaluation


def run_coco(evaluation: COCOeval) -> Floats:
    """AP at its ten thresholds, (10,)."""
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, 0, 0, 0]
    ap: Floats = precision.mean(axis=1)
    return ap
