"""P(pneumonia) at another share of films with an opacity."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_manifests.support.errors import ConfigError
from localize.bundle.prevalence import at_prevalence, check_prevalence

SHARES = st.floats(0.001, 0.999)


@given(st.floats(0, 1), SHARES, SHARES)
def test_it_is_theorem_2_of_elkan_2001(probability, reference, prevalence):
    p, b, other = probability, reference, prevalence
    expected = other * (p - p * b) / (b - p * b + other * p - b * other)
    assert at_prevalence(p, b, other) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(st.floats(0, 1), SHARES)
def test_its_own_prevalence_changes_no_bit(probability, reference):
    assert at_prevalence(probability, reference, reference) == probability


def test_drawn_films_of_another_share_are_met():
    """Films of either kind as they are, 1 in 2 of them in the one set, 1 in 10 in the other."""
    rng = np.random.default_rng(0)
    has_opacity = rng.random(400_000) < 0.1
    score = rng.normal(np.where(has_opacity, 1.0, -1.0))  # log odds at 1 in 2: 2 * score
    half = 1 / (1 + np.exp(-2 * score))
    found = np.array([at_prevalence(p, 0.5, 0.1) for p in half])
    for low in (0.05, 0.3, 0.6):
        chosen = (found >= low) & (found < low + 0.1)
        assert has_opacity[chosen].mean() == pytest.approx(found[chosen].mean(), abs=0.02)


@pytest.mark.parametrize("wrong", [0, 1, 0.0, -0.1, 1.5, float("nan"), float("inf"), "0.1", True])
def test_other_values_are_refused_with_an_example(wrong):
    with pytest.raises(ConfigError, match=r"above 0 and below 1, got .*such as 0\.1"):
        check_prevalence(wrong)
