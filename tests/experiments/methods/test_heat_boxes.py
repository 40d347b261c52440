"""Components of heat maps against a flood fill; the rule that validation chooses."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.methods.heat_boxes import (
    MIN_AREA,
    HeatRule,
    choose_heat_rule,
    heat_boxes,
    heat_prediction,
)
from experiments.methods.heat_maps import FilmHeat
from tests.localize.predictions import make_truth


def flooded(hot):
    """Boxes and pixels of 8-connected components, by flood fill."""
    left = {tuple(p) for p in np.argwhere(hot)}
    found = []
    while left:
        todo, pixels = [min(left)], []
        left.discard(todo[0])
        while todo:
            y, x = todo.pop()
            pixels.append((y, x))
            for near in [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]:
                if near in left:
                    left.discard(near)
                    todo.append(near)
        ys, xs = zip(*pixels, strict=True)
        found.append(((min(xs), min(ys), max(xs) + 1, max(ys) + 1), pixels))
    return found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("score", ["max", "mean"])
def test_boxes_are_those_of_a_flood_fill(seed, score):
    heat = np.random.default_rng(seed).random((12, 15)).astype(np.float32)
    xyxy, scores = heat_boxes(heat, HeatRule(0.8, score))
    slow = {}
    for box, pixels in flooded(heat >= 0.8):
        inside = [heat[p] for p in pixels]
        if len(pixels) >= MIN_AREA * heat.size:
            slow[tuple(map(float, box))] = max(inside) if score == "max" else np.mean(inside)
    assert {tuple(box) for box in xyxy} == set(slow)
    for box, value in zip(xyxy, scores, strict=True):
        assert value == pytest.approx(slow[tuple(box)], rel=1e-5)


def test_specks_are_no_boxes_and_a_cold_film_has_none():
    heat = np.zeros((100, 100), np.float32)
    heat[50, 50] = 1  # less than MIN_AREA of the film
    heat[10:20, 30:60] = 0.9
    xyxy, scores = heat_boxes(heat, HeatRule(0.5, "max"))
    assert xyxy.tolist() == [[30, 10, 60, 20]]
    assert scores == pytest.approx([0.9])
    assert heat_boxes(np.zeros((9, 9), np.float32), HeatRule(0.5, "max"))[0].shape == (0, 4)


def blob_film(image_id, box, level, *, chance=0.5, side=64):
    """Heat of a film of 512 px on a grid of `side`: a plateau of heat 1 inside one of `level`."""
    heat = np.zeros((side, side), np.float32)
    x1, y1, x2, y2 = (round(v * side / 512) for v in box)
    heat[max(y1 - 8, 0) : y2 + 8, max(x1 - 8, 0) : x2 + 8] = level
    heat[y1:y2, x1:x2] = 1
    return FilmHeat(image_id, heat, 512, 512, side / 512, side / 512, chance)


def test_boxes_come_in_film_pixels_scored_by_heat_times_probability():
    film = blob_film("a", (128, 64, 256, 192), 0.0, chance=0.3)
    prediction = heat_prediction([film], HeatRule(0.5, "max"), "cam")
    assert prediction.boxes[["x1", "y1", "x2", "y2"]].to_numpy().tolist() == [[128, 64, 256, 192]]
    assert prediction.boxes["score"].tolist() == pytest.approx([0.3])
    assert prediction.images["p_pneumonia"].tolist() == [0.3]


def test_the_rule_is_the_one_that_finds_validation_boxes():
    # Around each true box lies a lukewarm rim of .4: only thresholds above it cut the box out.
    boxes = {f"film-{k}": (64 + 32 * k, 96, 224 + 32 * k, 288) for k in range(4)}
    films = [blob_film(name, box, 0.42) for name, box in boxes.items()]
    truth = make_truth(list(boxes), [(name, *box) for name, box in boxes.items()])
    rule = choose_heat_rule(films, truth)
    assert rule.threshold == pytest.approx(0.45)


def test_films_without_boxes_have_no_say():
    box = (64, 96, 224, 288)
    films = [blob_film("boxed", box, 0.42), blob_film("clean", (300, 300, 310, 310), 0.9)]
    truth = make_truth(["boxed", "clean"], [("boxed", *box)])
    assert choose_heat_rule(films, truth).threshold == pytest.approx(0.45)
