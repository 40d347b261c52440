"""The teacher: targets against a slow loop, and what words, sides and denials do to them."""

from __future__ import annotations

import numpy as np
import torch

from detector.film_maps import FilmMaps
from localize.adaptation.opacity_words import FilmWords, OpacityWords
from localize.adaptation.report_teacher import (
    Teacher,
    pairwise_iou,
    shuffle_reports,
    teach_by_reports,
)

CPU = torch.device("cpu")
KEYWORDS = ("upper", "lower")
SIDES_ONLY = Teacher(word_weight=0.0, labels="soft")


def _films(boxes, logits):
    boxes = np.asarray(boxes, np.float32)
    count, width = boxes.shape[:2]
    return FilmMaps(
        image_ids=tuple(map(str, range(count))),
        level_shapes=((1, 1),),
        detector_sha256="",
        maps=np.zeros((count, 1, 1), np.float16),
        anchors=np.zeros((count, width), np.int32),
        boxes=boxes,
        logits=np.asarray(logits, np.float32),
        lowest_anchors=np.zeros((count, 1), np.int32),
        lowest_boxes=np.zeros((count, 1, 4), np.float32),
        sizes=np.full((count, 2), 100, np.float32),
    )


def _said(side, *words):
    return OpacityWords(side, np.array([name in words for name in KEYWORDS]))


def _teach(films, reports, teacher):
    return teach_by_reports(
        films, reports, KEYWORDS, films.logits, teacher=teacher, priors=None, device=CPU
    )


def test_targets_are_the_probability_of_lying_on_a_box_drawn_from_q():
    random = np.random.default_rng(0)
    corner = random.uniform(0, 60, (1, 12, 2))
    boxes = np.concatenate([corner, corner + random.uniform(10, 40, (1, 12, 2))], axis=2)
    logits = random.normal(size=(1, 12))
    films = _films(boxes, logits)
    found = _teach(films, [FilmWords(True, (_said("left"), _said("right")))], SIDES_ONLY).values[0]
    expected = np.ones(12)
    overlap = pairwise_iou(torch.from_numpy(films.boxes.astype(np.float64)))[0].numpy()
    for on_left in (True, False):
        there = ((films.boxes[0, :, 0] + films.boxes[0, :, 2]) / 2 > 50) == on_left
        q = np.where(there, np.exp(films.logits[0]), 0)
        q /= q.sum()
        for i in range(12):
            expected[i] *= 1 - sum(q[j] for j in range(12) if overlap[i, j] >= 0.5)
    np.testing.assert_allclose(found, 1 - expected, atol=1e-6)


def test_a_denial_teaches_zeros_and_a_hedge_is_left_out():
    films = _films(np.tile([[[10, 10, 30, 30]]], (3, 1, 1)), np.zeros((3, 1)))
    reports = [FilmWords(False, ()), FilmWords(None, ()), FilmWords(True, (_said(None),))]
    targets = _teach(films, reports, SIDES_ONLY)
    assert targets.rows.tolist() == [0, 2]
    assert targets.values[:, 0].tolist() == [0.0, 1.0]


def test_words_of_place_move_targets_to_boxes_of_that_place():
    """In every film two equal boxes; the clear films of either word teach the priors."""
    up, down = [60, 5, 80, 25], [60, 70, 80, 90]
    boxes, logits, reports = [], [], []
    for k in range(60):
        boxes.append([up, down])
        logits.append([3.0, -3.0] if k % 2 else [-3.0, 3.0])
        reports.append(FilmWords(True, (_said("left", "upper" if k % 2 else "lower"),)))
    boxes += [[up, down], [up, down]]
    logits += [[0.0, 0.0], [0.0, 0.0]]
    reports += [FilmWords(True, (_said("left", word),)) for word in KEYWORDS]
    values = _teach(_films(boxes, logits), reports, Teacher(word_weight=1.0, labels="soft")).values
    assert values[-2, 0] > 0.8 > 0.2 > values[-2, 1]
    assert values[-1, 1] > 0.8 > 0.2 > values[-1, 0]


def test_shuffled_reports_keep_which_films_have_an_opacity_and_all_words():
    reports = [FilmWords(True, (_said("left", "upper"),)) for _ in range(5)]
    reports += [FilmWords(True, (_said("right", "lower"),)) for _ in range(5)]
    reports += [FilmWords(False, ()), FilmWords(None, ())]
    shuffled = shuffle_reports(reports, seed=1)
    assert [one.has_opacity for one in shuffled] == [one.has_opacity for one in reports]
    sides = [one.opacities[0].side for one in shuffled[:10]]
    assert sorted(sides) == ["left"] * 5 + ["right"] * 5
    assert sides != ["left"] * 5 + ["right"] * 5
