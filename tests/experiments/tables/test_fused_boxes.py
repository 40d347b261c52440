"""Weighted box fusion of several detectors."""

from __future__ import annotations

import numpy as np
import pytest

from data_manifests.boxes import iou_matrix
from experiments.tables.box_scores import Detections
from experiments.tables.fused_boxes import NMS_IOU, fuse_boxes


def detections(*rows: tuple[float, ...]) -> Detections:
    table = np.array(rows, float).reshape(-1, 5)
    return Detections(table[:, :4], table[:, 4])


def test_two_views_of_one_box_are_their_mean_weighted_by_score():
    fused = fuse_boxes([detections((0, 0, 0.4, 0.4, 0.9)), detections((0.04, 0, 0.4, 0.4, 0.3))])
    assert fused.boxes == pytest.approx(np.array([[0.01, 0, 0.4, 0.4]]))
    assert fused.scores == pytest.approx([0.6])


def test_a_box_of_one_detector_alone_keeps_half_its_score():
    fused = fuse_boxes([detections((0, 0, 0.4, 0.4, 0.5)), detections((0.5, 0.5, 0.9, 0.9, 0.8))])
    assert fused.scores == pytest.approx([0.4, 0.25])
    assert fused.boxes[0] == pytest.approx([0.5, 0.5, 0.9, 0.9])


def test_boxes_of_the_same_detector_are_never_joined():
    one = detections((0, 0, 0.4, 0.4, 0.9), (0, 0, 0.4, 0.35, 0.8))
    fused = fuse_boxes([one, detections((0, 0, 0.4, 0.4, 0.7))])
    assert len(fused.scores) == 1  # the second overlaps the fused one and is suppressed
    assert fused.boxes[0] == pytest.approx([0, 0, 0.4, 0.4])


def test_a_detector_with_itself_is_itself():
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 0.6, (30, 2))
    rows = np.c_[corner, corner + rng.uniform(0.1, 0.4, (30, 2)), rng.uniform(0.05, 1, 30)]
    alone = fuse_boxes([detections(*map(tuple, rows))])
    twice = fuse_boxes([alone, alone])
    assert twice.boxes == pytest.approx(alone.boxes)
    assert twice.scores == pytest.approx(alone.scores)
    overlap = iou_matrix(twice.boxes, twice.boxes) - np.eye(len(twice.boxes))
    assert overlap.max() <= NMS_IOU


def test_films_without_boxes():
    assert fuse_boxes([detections(), detections()]).boxes.shape == (0, 4)
    assert len(fuse_boxes([detections(), detections((0, 0, 1, 1, 0.2))]).scores) == 1
