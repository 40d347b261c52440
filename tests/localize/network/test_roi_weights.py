"""`RoiWeights`: free and anchored logits of alpha."""

from __future__ import annotations

import torch

from localize.network.roi_weights import RoiWeights, masked_softmax


def make_inputs():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 5, 4, generator=generator), torch.randn(2, 5, generator=generator)


def make_weights(sharpness: float | None) -> RoiWeights:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return RoiWeights(width=4, hidden=7, sharpness=sharpness)


def test_anchored_weights_start_exactly_at_the_detectors_own():
    fused, scores = make_inputs()
    assert torch.equal(make_weights(sharpness=1.0)(fused, scores), scores)
    assert torch.equal(make_weights(sharpness=3.0)(fused, scores), 3 * scores)


def test_anchored_weights_add_the_net_to_tau_times_the_detectors_logit():
    fused, scores = make_inputs()
    weights = make_weights(sharpness=3.0)
    weights.tau.data.fill_(0.5)
    weights.mlp[2].weight.data.normal_(generator=torch.Generator().manual_seed(2))
    first, last = weights.mlp[0], weights.mlp[2]
    for film in range(2):
        for region in range(5):
            hidden = (first.weight @ fused[film, region] + first.bias).clamp(min=0)
            expected = last.weight @ hidden + last.bias + 0.5 * scores[film, region]
            torch.testing.assert_close(weights(fused, scores)[film, region, None], expected)


def test_free_weights_do_not_see_the_detectors_score():
    fused, scores = make_inputs()
    weights = make_weights(sharpness=None)
    assert weights.tau is None
    assert torch.equal(weights(fused, scores), weights(fused, 3 - scores))


def test_softmax_of_huge_logits_stays_a_distribution():
    logits = torch.tensor([[1e30, -1e30, 0.0], [-1e30, -1e30, -1e30]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    weights = masked_softmax(logits, mask, dim=1)
    assert weights.tolist() == [[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]]


def test_softmax_is_computed_in_float32_for_half_precision_logits():
    logits = torch.tensor([[10.0, 10.01, -3.0]], dtype=torch.bfloat16)
    weights = masked_softmax(logits, torch.ones(1, 3, dtype=torch.bool), dim=1)
    assert weights.dtype == torch.float32
    torch.testing.assert_close(weights, torch.softmax(logits.float(), dim=1))
