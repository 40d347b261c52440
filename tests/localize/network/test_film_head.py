"""`FilmHead`: its fit is the optimum, and uses known targets only."""

from __future__ import annotations

import numpy as np
import torch

from localize.network.film_evidence import WIDTH
from localize.network.film_head import INVERSE_PENALTY, MIN_EXAMPLES, FilmHead, fit_film_head

FILMS, KEYWORDS = 200, 3


def examples() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Evidence, targets that the first two numbers decide with noise, and a mask."""
    random = np.random.default_rng(0)
    evidence = random.normal(3, 2, (FILMS, WIDTH))
    noise = random.normal(0, 1, (FILMS, KEYWORDS))
    targets = (evidence[:, [0]] - evidence[:, [1]] + noise > 0.5).astype(np.float32)
    mask = (random.random((FILMS, KEYWORDS)) > 0.3).astype(np.float32)
    return evidence, targets, mask


def fitted(evidence, targets, mask) -> FilmHead:
    answer = FilmHead(targets.shape[1])
    fit_film_head(answer, evidence, targets, mask)
    return answer


def test_the_fit_is_where_the_penalised_likelihood_has_no_slope():
    evidence, targets, mask = examples()
    answer = fitted(evidence, targets, mask)
    assert answer.is_fitted.all()
    standard = (evidence - evidence.mean(axis=0)) / evidence.std(axis=0)
    for k in range(KEYWORDS):
        known = mask[:, k] > 0
        weight, bias = answer.weight[k].double().numpy(), float(answer.bias[k])
        chance = 1 / (1 + np.exp(-(standard[known] @ weight + bias)))
        wrong = chance - targets[known, k]
        slope = INVERSE_PENALTY * wrong @ standard[known] + weight
        np.testing.assert_allclose(slope, 0, atol=2e-3)
        np.testing.assert_allclose(wrong.mean(), 0, atol=1e-4)


def test_what_is_not_known_does_not_count():
    evidence, targets, mask = examples()
    other = np.where(mask > 0, targets, 1 - targets).astype(np.float32)
    one, two = (fitted(evidence, given, mask).state_dict() for given in (targets, other))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_keyword_with_too_few_examples_is_left_to_the_regions():
    evidence, targets, mask = examples()
    targets[:, 0] = 0
    targets[: MIN_EXAMPLES - 1, 0] = 1
    targets[:, 1] = 1
    mask[:] = 1
    answer = fitted(evidence, targets, mask)
    assert answer.is_fitted.tolist() == [False, False, True]
    attended = torch.randn(4, KEYWORDS)
    found = answer(attended, torch.randn(4, WIDTH))
    assert torch.equal(found[:, :2], attended[:, :2])
    assert not torch.isclose(found[:, 2], attended[:, 2]).any()


def test_evidence_that_never_varies_leaves_everything_finite():
    evidence, targets, mask = examples()
    evidence[:, 2] = 7.0
    answer = fitted(evidence, targets, mask)
    found = answer(torch.zeros(1, KEYWORDS), torch.full((1, WIDTH), 7.0))
    assert torch.isfinite(found).all()
