"""A gate learns what its teacher says of candidates, and nothing where the teacher is silent."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.models.detection.retinanet import RetinaNetClassificationHead

from detector.film_maps import FilmMaps
from localize.network.gate import Gate
from localize.training.train_gate import (
    GateTargets,
    GateTraining,
    gate_logits,
    matching_loss,
    train_gate,
)

CPU = torch.device("cpu")
FILMS, WIDTH, SHAPES = 24, 8, ((4, 4), (2, 2))
CELLS = 20


@pytest.fixture(scope="module")
def films():
    """In each film one cell of the first level is bright; it is the candidate to be found."""
    random = np.random.default_rng(0)
    maps = random.normal(0, 0.1, (FILMS, CELLS, WIDTH)).astype(np.float16)
    bright = random.integers(0, 16, FILMS)
    maps[np.arange(FILMS), bright] += 1.0
    anchors = np.tile(np.arange(CELLS, dtype=np.int32), (FILMS, 1))  # one anchor a cell
    none = np.zeros((FILMS, 2), np.int32)
    found = FilmMaps(
        image_ids=tuple(map(str, range(FILMS))),
        level_shapes=SHAPES,
        detector_sha256="",
        maps=maps,
        anchors=anchors,
        boxes=np.zeros((FILMS, CELLS, 4), np.float32),
        logits=np.zeros((FILMS, CELLS), np.float32),
        lowest_anchors=none,
        lowest_boxes=np.zeros((FILMS, 2, 4), np.float32),
        sizes=np.full((FILMS, 2), 32, np.float32),
    )
    return found, bright


@pytest.fixture(scope="module")
def start():
    torch.manual_seed(0)
    head = RetinaNetClassificationHead(WIDTH, 1, num_classes=1)
    for layer in head.conv.modules():
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight)  # its own start lets nothing through
    return Gate(head)


def _targets(bright, rows):
    values = np.zeros((len(rows), CELLS), np.float32)
    values[np.arange(len(rows)), bright[rows]] = 1
    return GateTargets(rows, values, np.ones_like(values))


TRAINING = GateTraining(epochs=60, batch_size=8, lr=3e-3, ema_decay=0.9)


def test_a_gate_finds_what_its_teacher_named_on_films_that_it_was_not_taught(films, start):
    maps, bright = films
    gate = train_gate(start, maps, _targets(bright, np.arange(16)), TRAINING, CPU)
    others = np.arange(16, FILMS)
    found = gate_logits(gate, maps, others, CPU).argmax(axis=1)
    assert (found == bright[others]).mean() >= 0.8
    assert (gate_logits(start, maps, others, CPU).argmax(axis=1) == bright[others]).mean() < 0.8


def test_denied_films_lower_all_gates(films, start):
    maps, _ = films
    rows = np.arange(16)
    nothing = GateTargets(rows, np.zeros((16, CELLS), np.float32), np.ones((16, CELLS), np.float32))
    gate = train_gate(start, maps, nothing, TRAINING, CPU)
    before, after = (gate_logits(one, maps, rows, CPU).max() for one in (start, gate))
    assert after < before


def test_the_start_is_left_as_it_was_and_the_same_seed_gives_the_same_gate(films, start):
    maps, bright = films
    before = [one.clone() for one in start.parameters()]
    short = GateTraining(epochs=1, batch_size=8)
    targets = _targets(bright, np.arange(16))
    first, second = (train_gate(start, maps, targets, short, CPU) for _ in range(2))
    for old, one in zip(before, start.parameters(), strict=True):
        torch.testing.assert_close(old, one)
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_candidates_of_weight_zero_do_not_count():
    logits, values = torch.tensor([[0.0, 5.0]]), torch.tensor([[1.0, 0.0]])
    loss = matching_loss(logits, values, torch.tensor([[1.0, 0.0]]))
    assert float(loss) == pytest.approx(np.log(2))
