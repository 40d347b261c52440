"""Boxes of notes against a mask of opacity."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.grounding.notes import NoteFilm, score_notes
from experiments.grounding.real import RegionFilm
from localize.grounding.film_anatomy import FilmAnatomy
from localize.grounding.ground_report import GroundingRule, ScoredRegions

BOX = [330.0, 270, 430, 350]


def note(text, mask_box):
    mask = np.zeros((512, 512), bool)
    x1, y1, x2, y2 = mask_box
    mask[y1:y2, x1:x2] = True
    regions = ScoredRegions(np.array([BOX]), np.array([0.8]))
    film = RegionFilm("p", FilmAnatomy(512, 512), regions, np.zeros((0, 4)))
    return NoteFilm(film, mask, text)


def test_a_box_touches_a_mask_under_its_half():
    found = score_notes([note("Left opacity.", (330, 270, 380, 350))], GroundingRule())
    assert found.touches.tolist() == [1]
    assert found.inside.tolist() == pytest.approx([0.5])
    assert 0 < found.random_touches[0] < 1
    assert (found.films, found.grounded) == (1, 1)


def test_a_mask_elsewhere_is_not_touched_and_a_denied_finding_has_no_box():
    films = [note("Left opacity.", (10, 10, 40, 40)), note("No opacity.", (330, 270, 380, 350))]
    found = score_notes(films, GroundingRule())
    assert found.touches.tolist() == [0]
    assert (found.films, found.grounded) == (2, 1)
