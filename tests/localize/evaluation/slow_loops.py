"""Slow re-implementations that the vectorised metrics are compared with."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from localize.evaluation.film_boxes import FilmBoxes, make_film_boxes


def random_film_boxes(
    seed: int, *, films: int = 40, max_pred: int = 8, max_true: int = 4, tied: bool = False
) -> FilmBoxes:
    """Films with some true boxes and predictions around them or anywhere; whole-pixel corners."""
    random = np.random.default_rng(seed)
    pred, score, pred_film, true, true_film = [], [], [], [], []
    for film in range(films):
        boxes = [_random_box(random) for _ in range(random.integers(0, max_true + 1))]
        true += boxes
        true_film += [film] * len(boxes)
        for _ in range(random.integers(0, max_pred + 1)):
            if boxes and random.random() < 0.7:
                box = np.array(boxes[random.integers(len(boxes))]) + random.integers(-6, 7, size=4)
                box[2:] = np.maximum(box[2:], box[:2] + 1)
            else:
                box = np.array(_random_box(random))
            pred.append(box)
            score.append(round(random.random(), 1) if tied else random.random())
            pred_film.append(film)
    return make_film_boxes(
        np.array(pred, float).reshape(-1, 4),
        np.array(score, float),
        np.array(pred_film, int),
        np.array(true, float).reshape(-1, 4),
        np.array(true_film, int),
        films=films,
    )


def _random_box(random):
    x, y = random.integers(0, 80, size=2)
    w, h = random.integers(8, 50, size=2)
    return [x, y, x + w, y + h]


def slow_iou(a, b):
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    return w * h / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h)


def films_of(boxes: FilmBoxes):
    """(predicted boxes best first, scores, true boxes) of each film."""
    for film in range(boxes.films):
        rows = boxes.pred_film == film
        yield (
            boxes.pred_xyxy[rows],
            boxes.pred_score[rows],
            boxes.true_xyxy[boxes.true_film == film],
        )


def slow_maximum_matching(pred, true, threshold):
    """The size of the largest matching, by trying all assignments."""
    best = 0
    n = max(len(pred), len(true))
    for order in permutations(range(n), len(true)):
        hits = sum(
            p < len(pred) and slow_iou(pred[p], t) >= threshold
            for p, t in zip(order, true, strict=True)
        )
        best = max(best, hits)
    return best


def kaggle_map_iou(true, pred):
    """The scorer that circulated in the RSNA challenge, re-written: predictions best first."""
    if not len(true) and not len(pred):
        return None
    total = 0.0
    thresholds = [0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75]
    for threshold in thresholds:
        used, tp = set(), 0
        for box in true:
            for j, candidate in enumerate(pred):
                if j not in used and slow_iou(box, candidate) >= threshold:
                    used.add(j)
                    tp += 1
                    break
        total += tp / (len(true) + len(pred) - tp)
    return total / len(thresholds)
