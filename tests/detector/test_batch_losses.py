"""Losses of a whole batch: torchvision's, film by film, is the oracle."""

from __future__ import annotations

import pytest
import torch
from torchvision.models.detection.image_list import ImageList

from detector.batch_losses import BatchLosses, FilmBatch, batch_losses, film_loss
from tests.detector.films import make_detector

NO_BOX: list[list[float]] = []
CASES = {
    "two boxes": [[10, 20, 40, 60], [40, 10, 60, 50]],
    "none": NO_BOX,
    "smaller than every anchor": [[5, 5, 7, 8]],
    "one inside another": [[0, 0, 64, 64], [30, 30, 50, 60], [31, 30, 52, 60]],
}


def make_batch(films, *, is_unplaced=None):
    images = torch.rand(len(films), 3, 64, 64, generator=torch.Generator().manual_seed(0))
    most = max(1, *(len(boxes) for boxes in films))
    boxes, is_box = torch.zeros(len(films), most, 4), torch.zeros(len(films), most, dtype=bool)
    for row, film in enumerate(films):
        boxes[row, : len(film)] = torch.tensor(film, dtype=torch.float32).reshape(-1, 4)
        is_box[row, : len(film)] = True
    unplaced = torch.tensor(is_unplaced or [False] * len(films))
    return FilmBatch(images, boxes, is_box, unplaced, tuple(map(str, range(len(films)))))


@pytest.mark.parametrize("names", [[name] for name in CASES] + [list(CASES)], ids=" + ".join)
def test_losses_and_gradients_are_those_of_torchvision(names):
    detector = make_detector().train()
    batch = make_batch([CASES[name] for name in names])
    targets = [
        {"boxes": boxes[kept], "labels": torch.zeros(int(kept.sum()), dtype=torch.int64)}
        for boxes, kept in zip(batch.boxes, batch.is_box, strict=True)
    ]
    torch.testing.assert_close(
        BatchLosses(detector, film_loss=0)(batch), detector(list(batch.images), targets)
    )

    features = list(detector.backbone(batch.images).values())
    with torch.no_grad():
        outputs = detector.head(features)
    anchors = detector.anchor_generator(ImageList(batch.images, [(64, 64)] * len(names)), features)
    gradients = []
    for is_batch in (False, True):
        leaves = {name: value.clone().requires_grad_() for name, value in outputs.items()}
        if is_batch:
            codes = leaves["bbox_regression"]
            found = batch_losses(leaves["cls_logits"], codes, anchors[0], batch, model=detector)
        else:
            found = detector.compute_loss(targets, leaves, anchors)
        sum(found.values()).backward()
        gradients.append({name: value.grad for name, value in leaves.items()})
    torch.testing.assert_close(gradients[1], gradients[0])


def test_an_unplaced_film_teaches_only_that_something_is_there():
    detector = make_detector().train()
    losses = BatchLosses(detector, film_loss=0.5)(make_batch([NO_BOX], is_unplaced=[True]))
    assert losses["classification"] == 0
    assert losses["bbox_regression"] == 0
    assert losses["film"] > 0


def test_the_film_loss_asks_unplaced_films_for_high_logits():
    logits = torch.full((3, 40, 1), -4.0)
    logits[1, :16] = 4.0
    low, high, both = (
        film_loss(logits[rows], torch.tensor([True] * len(rows))) for rows in ([0], [1], [0, 1])
    )
    assert low == pytest.approx(4.018, abs=1e-3)  # log(1 + e^4)
    assert high == pytest.approx(0.018, abs=1e-3)
    assert both == pytest.approx(float(low + high) / 2)
    assert film_loss(logits, torch.tensor([False] * 3)) == 0
