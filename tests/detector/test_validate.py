from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from detector.validate import ValidationScores, validate_detector
from tests.detector.films import make_films


class Answers(nn.Module):
    """A detector that answers what it is told, film after film."""

    def __init__(self, boxes, scores):
        super().__init__()
        self.boxes, self.scores, self.position = boxes, scores, 0

    def forward(self, images):
        found = []
        for _ in images:
            boxes = torch.as_tensor(self.boxes[self.position], dtype=torch.float32).reshape(-1, 4)
            scores = torch.as_tensor(self.scores[self.position], dtype=torch.float32)
            labels = torch.zeros(len(boxes), dtype=torch.int64)
            found.append({"boxes": boxes, "scores": scores, "labels": labels})
            self.position += 1
        return found


def validate(films, boxes, scores, **options):
    return validate_detector(Answers(boxes, scores), films, 64, torch.device("cpu"), **options)


@pytest.fixture
def films(tmp_path):
    return make_films(tmp_path, train=0, val=10)  # more than one batch


def true_boxes(films):
    return [films.boxes_of(image_id).xyxy for image_id in films.images["image_id"]]


def test_true_boxes_score_one(films):
    found = validate(films, true_boxes(films), [[0.9]] * 10)
    assert found == ValidationScores(1.0, 1.0, 1.0)


def test_a_box_of_overlap_04_counts_at_25_and_not_at_50(films):
    # Keeping 40 % of a box's width from its left edge is an IoU of .4.
    narrow = [box * [1, 1, 0, 1] + (box[:, [0]] * 0.6 + box[:, [2]] * 0.4) * [0, 0, 1, 0]
              for box in true_boxes(films)]  # fmt: skip
    found = validate(films, narrow, [[0.9]] * 10)
    assert (found.ap_25, found.ap_50, found.selection) == (1.0, 0.0, 0.5)


def test_films_without_boxes_leave_the_score_undefined(films, tmp_path):
    import dataclasses

    blank = dataclasses.replace(films, boxes=films.boxes.iloc[:0])
    found = validate(blank, [np.zeros((0, 4))] * 10, [[]] * 10)
    assert found == ValidationScores(None, None, 0.0)


def test_a_stop_between_batches_gives_no_score(films):
    asked = iter([False, True])
    found = validate(films, true_boxes(films), [[0.9]] * 10, should_stop=lambda: next(asked))
    assert found is None


def test_the_model_is_in_evaluation_mode(films):
    model = Answers(true_boxes(films), [[0.5]] * 10).train()
    validate_detector(model, films, 64, torch.device("cpu"))
    assert not model.training


def test_one_process_of_many_validates_alone(films, monkeypatch):
    """torchmetrics would wait for the other processes, which do not validate."""
    import torch.distributed as distributed

    def nobody_answers(*_, **__):
        raise AssertionError("asked the other processes")

    monkeypatch.setattr(distributed, "is_available", lambda: True)
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    for name in ("barrier", "all_gather", "all_gather_object", "get_world_size"):
        monkeypatch.setattr(distributed, name, nobody_answers)
    assert validate(films, true_boxes(films), [[0.9]] * 10).selection == 1.0
