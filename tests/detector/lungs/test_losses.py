"""The loss of lung maps against its formula, one map after the other."""

from __future__ import annotations

import math

import pytest
import torch

from detector.lungs.losses import SMOOTH, lung_loss
from detector.lungs.masked_films import UNKNOWN


def slow_loss(logits, masks):
    """Loops over films, maps and pixels."""
    found = []
    for film in range(len(logits)):
        for part in range(3):
            entropy, overlap, total, count = 0.0, 0.0, 0.0, 0
            is_there = bool((masks[film, part] == 1).any())
            pairs = zip(logits[film, part].flatten(), masks[film, part].flatten(), strict=True)
            for logit, mask in pairs:
                if int(mask) == UNKNOWN:
                    continue
                p, truth = 1 / (1 + math.exp(-float(logit))), int(mask)
                entropy -= math.log(p if truth else 1 - p)
                overlap, total, count = overlap + p * truth, total + p + truth, count + 1
            if count:
                dice = 1 - (2 * overlap + SMOOTH) / (total + SMOOTH) if is_there else 0.0
                found.append(entropy / count + dice)
    return sum(found) / len(found)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(2, 3, 6, 6, generator=generator)
    masks = torch.randint(0, 2, (2, 3, 6, 6), generator=generator, dtype=torch.uint8)
    masks[0, 0, :3] = UNKNOWN
    masks[1, 2] = UNKNOWN
    masks[0, 1] = 0
    return logits, masks


def test_loss_equals_a_loop_over_pixels(batch):
    assert float(lung_loss(*batch)) == pytest.approx(slow_loss(*batch), rel=1e-5)


def test_unknown_pixels_have_no_gradient(batch):
    logits, masks = batch
    logits.requires_grad_()
    lung_loss(logits, masks).backward()
    assert (logits.grad[masks == UNKNOWN] == 0).all()
    assert (logits.grad[masks != UNKNOWN] != 0).any()
