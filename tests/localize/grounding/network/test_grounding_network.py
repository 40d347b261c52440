"""The grounding network: padding, maps, losses, and that it learns what it is told."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from localize.grounding.network.examples import GroundingExamples, target_map
from localize.grounding.network.grounding_network import GroundingNetwork, grounding_loss
from localize.grounding.network.map_scores import box_mask, map_boxes, score_maps
from localize.grounding.network.query import GroundingQuery
from localize.grounding.network.text_encoder import TextTokens
from localize.grounding.network.train import (
    GroundingTraining,
    maps_of_logits,
    predict_logits,
    train_grounding,
)

CPU = torch.device("cpu")
SIDE = 32


def examples(films=24, seed=0):
    """Films with a bright square on either side; a report that asks for one of them, or denies."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 60, (films, SIDE, SIDE)).astype(np.uint8)
    lungs = np.zeros((films, SIDE, SIDE), np.uint8)
    lungs[:, :, : SIDE // 2], lungs[:, :, SIDE // 2 :] = 1, 2
    words = np.eye(4, dtype=np.float32)  # finding, left, right, no
    tokens, queries, owners, boxes = [], [], [], []
    for film in range(films):
        y = int(random.integers(4, 16))
        places = {1: (18.0, y, 28.0, y + 10.0), 2: (4.0, y, 14.0, y + 10.0)}
        for x1, y1, x2, y2 in places.values():
            pixels[film, int(y1) : int(y2), int(x1) : int(x2)] += 150
        side = int(random.integers(1, 3))
        is_absent = bool(random.random() < 0.5)
        count = 2 + int(random.integers(0, 3))  # reports of unequal length
        row = [0, side, *([3] if is_absent else []), *[0] * count]
        places_of_words = np.arange(len(row))
        tokens.append(
            TextTokens(words[row], places_of_words, places_of_words + 1, ("w",) * len(row))
        )
        order = np.array([0, 1], np.int64)
        marked = np.zeros(len(row), bool)
        marked[0] = True
        queries.append(GroundingQuery(0, int(is_absent), order, np.array([0, 1]), marked))
        owners.append(film)
        boxes.append(np.zeros((0, 4)) if is_absent else np.array([places[side]]))
    return GroundingExamples(
        pixels, lungs, tuple(tokens), tuple(queries), np.array(owners), tuple(boxes)
    )


@pytest.mark.parametrize("has_structure", [False, True])
def test_a_finding_has_the_same_map_alone_and_beside_longer_ones(has_structure):
    data = examples(6)
    network = GroundingNetwork(4, has_anatomy=True, has_structure=has_structure).eval()
    together = predict_logits(network, data, has_anatomy=True, device=CPU)
    alone = predict_logits(network, data, has_anatomy=True, device=CPU, batch_films=1)
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_it_learns_the_place_that_is_stated_and_that_a_denied_finding_has_none():
    data = examples(16)
    training = GroundingTraining(
        has_anatomy=True, has_structure=True, epochs=30, batch_films=8, width=8, dim=16, lr=1e-2
    )
    network = train_grounding(data, training, CPU)
    maps = maps_of_logits(predict_logits(network, data, has_anatomy=True, device=CPU))
    scores = score_maps(maps, data.boxes, box_threshold=0.5)
    is_absent = np.array([not len(one) for one in data.boxes])
    assert 4 <= is_absent.sum() <= 12
    assert np.nanmean(scores.is_hit) > 0.8
    assert scores.has_box[is_absent].mean() < 0.2


def test_the_same_seed_gives_the_same_network():
    data = examples(6)
    training = GroundingTraining(has_anatomy=False, has_structure=False, epochs=1, width=4, dim=8)
    first, again = (train_grounding(data, training, CPU).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_a_target_cell_holds_the_share_that_the_box_covers():
    box = np.array([[3.0, 2.0, 10.0, 9.0]])
    fine = np.zeros((160, 160))
    fine[20:90, 30:100] = 1  # tenths of a pixel
    slow = fine.reshape(4, 40, 4, 40).mean(axis=(1, 3))
    np.testing.assert_allclose(target_map(box, 16, 16), slow, atol=1e-6)


def test_the_loss_is_dice_of_those_with_a_region_plus_cross_entropy_of_all():
    logits = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(0))
    target = torch.zeros(3, 4, 4)
    target[0, 1:3, 1:3] = 1
    target[2, :2] = 1
    p = logits.sigmoid()
    dice = [1 - 2 * (p[k] * target[k]).sum() / (p[k].sum() + target[k].sum()) for k in (0, 2)]
    cross = -(target * p.log() + (1 - target) * (1 - p).log()).mean()
    expected = sum(dice) / 2 + cross
    assert float(grounding_loss(logits, target)) == pytest.approx(float(expected), rel=1e-5)


def test_scores_agree_with_a_slow_count():
    random = np.random.default_rng(3)
    maps = random.random((2, 12, 12)).astype(np.float32)
    boxes = [np.array([[1.0, 2.0, 7.0, 9.0]]), np.array([[0.0, 0.0, 4.0, 4.0], [6, 6, 12, 12]])]
    found = score_maps(maps, boxes)
    for k in range(2):
        mask = np.zeros((12, 12), bool)
        for x1, y1, x2, y2 in boxes[k].astype(int):
            mask[y1:y2, x1:x2] = True
        ious = []
        for level in (0.1, 0.2, 0.3, 0.4, 0.5):
            hit = maps[k] >= level
            ious.append((hit & mask).sum() / (hit | mask).sum())
        assert found.miou[k] == pytest.approx(np.mean(ious))
        assert found.dice[k] == pytest.approx(
            2 * maps[k][mask].sum() / (maps[k].sum() + mask.sum())
        )
        assert found.is_hit[k] == (ious[0] > 0.1)


def test_a_denied_finding_is_scored_by_whether_it_has_a_box():
    maps = np.zeros((2, 12, 12), np.float32)
    maps[1, 2:6, 2:6] = 0.4
    found = score_maps(maps, [np.zeros((0, 4))] * 2)
    assert found.has_box.tolist() == [0, 1]
    assert np.isnan(found.dice).all()


def test_every_region_of_several_must_have_a_box_of_its_own():
    true = np.array([[0.0, 0.0, 4.0, 4.0], [8.0, 8.0, 12.0, 12.0]])
    maps = np.zeros((2, 12, 12), np.float32)
    maps[0][box_mask(true, 12, 12)] = 0.9
    maps[1, :4, :4] = 0.9
    assert score_maps(maps, [true, true]).all_regions.tolist() == [1, 0]


def test_boxes_of_a_map_are_its_connected_parts_the_largest_first():
    one = np.zeros((10, 10), np.float32)
    one[0:3, 0:3], one[5:9, 4:10], one[0, 9] = 0.6, 0.6, 0.6  # the last is a single pixel
    assert map_boxes(one, 0.5).tolist() == [[4, 5, 10, 9], [0, 0, 3, 3]]
