"""Severity, shares and places against closed forms and slow loops."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from data_manifests.phantom.case import Case, PhantomOptions, render_anatomy
from data_manifests.phantom.truth import (
    FULL_DENSITY,
    INVOLVED,
    KEYWORDS,
    MODERATE_BURDEN,
    SEVERE_BURDEN,
    lung_score,
    severity_word,
)


@pytest.mark.parametrize(
    ("share", "score"),
    [(0.0, 0), (0.01, 1), (0.249, 1), (0.25, 2), (0.49, 2), (0.5, 3), (0.75, 4), (1.0, 4)],
)
def test_the_score_of_a_lung_is_its_quarter(share: float, score: int) -> None:
    assert lung_score(share) == score


def test_severity_words_are_ordered_by_burden() -> None:
    burdens = (0.0, MODERATE_BURDEN - 1e-9, MODERATE_BURDEN, SEVERE_BURDEN - 1e-9, SEVERE_BURDEN)
    words = [severity_word(burden) for burden in burdens]
    assert words == ["mild", "mild", "moderate", "moderate", "severe"]


def test_shares_and_burden_equal_a_slow_count(cases: list[Case], options: PhantomOptions) -> None:
    for case in cases[:8]:
        body, _ = render_anatomy(options, case.index, case.plan)
        room = added = 0.0
        shares = []
        for lung in body.lungs:
            area = involved = 0.0
            for row in range(options.size):
                for column in range(options.size):
                    weight = float(lung[row, column])
                    area += weight
                    if case.opacity.envelope[row, column] > INVOLVED:
                        involved += weight
            shares.append(involved / area)
            room += area
        added = sum(float(value) for value in case.opacity.added.ravel())
        assert case.truth.burden == pytest.approx(added / (FULL_DENSITY * room), rel=1e-4)
        for share, truth in zip(
            shares, (case.truth.share_right, case.truth.share_left), strict=True
        ):
            assert truth == pytest.approx(share, abs=1e-4) or (truth == 0.01 and share < 0.01)


def test_a_film_without_opacity_has_nothing(cases: list[Case]) -> None:
    plain = [case for case in cases if not case.plan.opacity.blobs]
    assert plain
    for case in plain:
        assert not case.truth.keywords
        assert case.truth.severity == 0
        assert not case.report.mentioned
        assert case.opacity.boxes.shape == (0, 4)


def test_an_involved_lung_scores_and_a_free_one_does_not(cases: list[Case]) -> None:
    for case in cases:
        words = case.truth.keywords
        assert (case.truth.share_right > 0) == ("right" in words)
        assert (case.truth.share_left > 0) == ("left" in words)
        assert int("right" in words) + int("left" in words) <= case.truth.severity <= 8


def test_all_keywords_are_known_and_each_can_be_true(cases: list[Case]) -> None:
    seen = set().union(*(case.truth.keywords for case in cases))
    assert seen <= set(KEYWORDS)
    assert len(KEYWORDS) == 22
    assert len(seen) >= 19


def test_keywords_are_those_of_the_lexicon_in_its_order() -> None:
    lexicon = Path(__file__).parents[3] / "attributes" / "lexicon" / "languages" / "en.yaml"
    names = [entry["name"] for entry in yaml.safe_load(lexicon.read_text("utf-8"))["keywords"]]
    assert tuple(names) == KEYWORDS
