"""Dictated sentences on films with known regions: what is named, and on which side."""

from __future__ import annotations

import numpy as np

from experiments.grounding.real import (
    CANDIDATES,
    RegionFilm,
    choose_rule,
    compare_lungs,
    ground_dictated,
)
from localize.grounding.film_anatomy import FilmAnatomy
from localize.grounding.ground_report import GroundingRule, ScoredRegions
from tests.detector.lungs.fields import drawn_fields

RIGHT_UPPER, LEFT_LOWER = [100.0, 80, 200, 150], [330.0, 270, 430, 350]
FILM = FilmAnatomy(512, 512)


def film(true, *, scores=(0.9, 0.3), patient="p"):
    regions = ScoredRegions(np.array([RIGHT_UPPER, LEFT_LOWER]), np.array(scores))
    return RegionFilm(patient, FILM, regions, np.array(true))


def test_the_sentence_finds_its_box_where_the_best_box_is_elsewhere():
    found = ground_dictated([film([LEFT_LOWER])], GroundingRule())
    assert (found.named.tolist(), found.best.tolist()) == ([1], [0])
    assert (found.best_any.tolist(), found.side_right.tolist()) == ([0], [1])


def test_each_sentence_of_several_counts_against_its_own_box():
    found = ground_dictated([film([LEFT_LOWER, RIGHT_UPPER])], GroundingRule())
    assert found.named.tolist() == [1, 1]  # the general first sentence states no place
    assert sorted(found.best.tolist()) == [0, 1]
    assert found.best_any.tolist() == [1, 1]


def test_a_box_elsewhere_is_no_hit():
    moved = [330.0, 120, 430, 200]
    found = ground_dictated([film([moved])], GroundingRule(least_score=0.0))
    assert found.named.tolist() == [0]


def test_the_first_of_equal_rules_is_chosen():
    assert choose_rule([film([LEFT_LOWER])]) == CANDIDATES[0]


def test_lungs_that_lie_higher_move_the_zones_of_sentence_and_box():
    """By the film's own lungs the box is in the lower zone, by the average film in the upper."""
    lungs = drawn_fields(right=(80, 10, 230, 160), left=(260, 10, 410, 160), size=(512, 512))
    low, high = [100.0, 115, 200, 155], [100.0, 20, 200, 60]
    regions = ScoredRegions(np.array([low, high]), np.array([0.3, 0.9]))
    one = RegionFilm("p", FilmAnatomy(512, 512, lungs), regions, np.array([low]))
    found = compare_lungs([one], GroundingRule())
    assert found.lungs_own.named.tolist() == [1]
    assert found.average_own.named.tolist() == [0]
    assert found.lungs.named.tolist() == found.average.named.tolist() == [0]
    assert found.lungs_own.side_right.tolist() == [1]
