"""Ranked boxes: suppression against a slow loop, one readout, the same after a file."""

from __future__ import annotations

import numpy as np
import torch
from torchvision.ops import box_iou

from detector.film_maps import NO_REGION, FilmMaps
from experiments.attention.ranked import (
    MAX_BOXES,
    NMS_IOU,
    rank_candidates,
    read_ranked,
    write_ranked,
)


def make_maps(films=3, candidates=40, seed=0):
    random = np.random.default_rng(seed)
    corner = random.uniform(0, 80, (films, candidates, 2))
    boxes = np.concatenate([corner, corner + random.uniform(5, 45, corner.shape)], axis=2)
    logits = -np.sort(-random.normal(size=(films, candidates)))
    logits[:, -3:] = NO_REGION
    return FilmMaps(
        image_ids=tuple(map(str, range(films))),
        level_shapes=((1, 1),),
        detector_sha256="",
        maps=np.zeros((films, 1, 4), np.float16),
        anchors=np.zeros((films, candidates), np.int32),
        boxes=boxes.astype(np.float32),
        logits=logits.astype(np.float32),
        lowest_anchors=np.zeros((films, 1), np.int32),
        lowest_boxes=np.zeros((films, 1, 4), np.float32),
        sizes=np.full((films, 2), 128, np.float32),
    )


def test_ranked_boxes_are_those_of_a_greedy_loop():
    films = make_maps()
    values = np.random.default_rng(1).normal(size=films.logits.shape).astype(np.float32)
    ranked = rank_candidates(films, values)
    for row in range(3):
        kept: list[int] = []
        for k in np.argsort(-values[row]):
            boxes = torch.from_numpy(films.boxes[row])
            apart = all(box_iou(boxes[[k]], boxes[[j]]) <= NMS_IOU for j in kept)
            if films.logits[row, k] > NO_REGION and apart:
                kept.append(int(k))
        mine = ranked.film == row
        np.testing.assert_allclose(ranked.xyxy[mine], films.boxes[row][kept[:MAX_BOXES]])
        np.testing.assert_allclose(ranked.scores[mine], values[row][kept[:MAX_BOXES]])
        assert ranked.film_scores[row] == values[row, films.logits[row] > NO_REGION].max()


def test_a_file_keeps_boxes_to_a_hundredth_of_a_pixel(tmp_path):
    ranked = rank_candidates(make_maps(), make_maps().logits)
    write_ranked(ranked, tmp_path / "one.npz")
    again = read_ranked(tmp_path / "one.npz")
    np.testing.assert_allclose(again.xyxy, ranked.xyxy, atol=0.006)
    np.testing.assert_array_equal(again.scores, ranked.scores)
    np.testing.assert_array_equal(again.film, ranked.film)
