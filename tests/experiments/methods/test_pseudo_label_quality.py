"""`best_overlaps`: pseudo-label boxes against the true boxes of their film."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.methods.pseudo_label_quality import best_overlaps
from localize.adaptation.pseudo_boxes import PseudoBox, with_pseudo_boxes
from tests.localize.evaluation.slow_loops import slow_iou
from tests.localize.predictions import make_truth


def labelled(films, rows):
    return with_pseudo_boxes(films, [PseudoBox(name, np.array(box)) for name, *box in rows])


def test_the_best_overlap_is_that_with_a_true_box_of_the_same_film():
    truth = make_truth(["a", "b", "c"])
    first, second, third = (0.0, 0, 40, 40), (50.0, 50, 90, 90), (10.0, 10, 60, 60)
    truth = labelled(truth, [("a", *first), ("a", *second), ("b", *third)])
    chosen = [("b", 0.0, 0.0, 50.0, 50.0), ("a", 45.0, 45.0, 80.0, 80.0), ("c", *third)]
    found = best_overlaps(labelled(truth, chosen), truth)
    boxes = labelled(truth, chosen).boxes  # in the manifest's own order
    expected = {
        "a": max(slow_iou(chosen[1][1:], true) for true in (first, second)),
        "b": slow_iou(chosen[0][1:], third),
        "c": 0.0,
    }
    assert found == pytest.approx([expected[name] for name in boxes["image_id"]])
    assert np.count_nonzero(found) == 2
