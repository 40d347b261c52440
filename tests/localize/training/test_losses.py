"""Losses against slow loops and closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from localize.network.cross_attention import Similarities
from localize.network.roi_weights import masked_softmax
from localize.training.losses import (
    attribute_loss,
    batch_triplet_loss,
    detector_divergence,
    triplet_loss,
)


@pytest.mark.parametrize(
    ("text", "roi", "negative_rois", "negative_words", "expected"),
    [
        (1.0, 1.0, 0.0, 0.0, 0.0),  # both margins kept
        (0.5, 0.4, 0.3, 0.5, 0.7 + 0.8),  # 0.8-0.4+0.3 and 0.8-0.5+0.5
        (0.9, 0.1, 0.0, 0.0, 0.7),  # only the region term is violated
        (-1.0, 1.0, -1.0, 0.9, 2.7),  # only the word term, at its largest
    ],
)
def test_triplet_loss_is_equation_1(
    text: float, roi: float, negative_rois: float, negative_words: float, expected: float
) -> None:
    positive = Similarities(text=torch.tensor([text]), roi=torch.tensor([roi]))
    loss = triplet_loss(
        positive, torch.tensor([negative_rois]), torch.tensor([negative_words]), margin=0.8
    )
    assert float(loss) == pytest.approx(expected)


def test_batch_triplet_loss_takes_the_hardest_real_negative() -> None:
    generator = torch.Generator().manual_seed(0)
    similarity = torch.randn(5, 5, generator=generator)
    usable = torch.rand(5, 5, generator=generator) > 0.4
    usable.fill_diagonal_(False)
    loss = batch_triplet_loss(similarity, usable, margin=0.2)
    for film in range(5):
        report_costs = [
            max(0.0, 0.2 + float(similarity[film, c] - similarity[film, film]))
            for c in range(5)
            if usable[film, c]
        ]
        film_costs = [
            max(0.0, 0.2 + float(similarity[b, film] - similarity[film, film]))
            for b in range(5)
            if usable[b, film]
        ]
        expected = max(report_costs, default=0.0) + max(film_costs, default=0.0)
        assert float(loss[film]) == pytest.approx(expected, abs=1e-6)


def test_attribute_loss_counts_known_targets_only() -> None:
    logits = torch.tensor([[2.0, -1.0, 5.0]])
    targets, mask = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[1.0, 1.0, 0.0]])
    expected = (math.log1p(math.exp(-2.0)) + math.log1p(math.exp(-1.0))) / 2
    assert float(attribute_loss(logits, targets, mask, None)) == pytest.approx(expected)


def test_a_positive_weight_scales_positives_only() -> None:
    logits, mask = torch.tensor([[0.0, 0.0]]), torch.ones(1, 2)
    targets = torch.tensor([[1.0, 0.0]])
    loss = attribute_loss(logits, targets, mask, torch.tensor([3.0, 3.0]))
    assert float(loss) == pytest.approx((3 * math.log(2) + math.log(2)) / 2)


def test_divergence_is_zero_at_the_detectors_own_distribution() -> None:
    logits = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(2, 6, dtype=torch.bool)
    mask[1, 3:] = False
    alpha = masked_softmax(logits, mask, dim=1)
    torch.testing.assert_close(detector_divergence(alpha, logits, mask), torch.zeros(2))


def test_divergence_of_two_coins_is_the_closed_form() -> None:
    logits = torch.tensor([[math.log(0.8 / 0.2), 0.0]])  # softmax: .8, .2
    alpha = torch.tensor([[0.5, 0.5]])
    expected = 0.8 * math.log(0.8 / 0.5) + 0.2 * math.log(0.2 / 0.5)
    mask = torch.ones(1, 2, dtype=torch.bool)
    assert float(detector_divergence(alpha, logits, mask)) == pytest.approx(expected, abs=1e-6)


def test_masked_softmax_gives_nothing_to_padding_and_survives_an_empty_row() -> None:
    logits = torch.tensor([[1.0, 2.0, 99.0], [1.0, 2.0, 3.0]])
    mask = torch.tensor([[True, True, False], [False, False, False]])
    weights = masked_softmax(logits, mask, dim=1)
    expected = math.exp(1) / (math.exp(1) + math.exp(2))
    assert weights[0].tolist() == pytest.approx([expected, 1 - expected, 0.0])
    assert weights[1].tolist() == [0.0, 0.0, 0.0]
