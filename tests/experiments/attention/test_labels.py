"""Labels of the controls: the truth's levels, and self-labels with the shares of the reports."""

from __future__ import annotations

import numpy as np

from experiments.attention.labels import label_by_truth, own_reports
from localize.adaptation.opacity_words import FilmWords, OpacityWords
from tests.experiments.attention.test_ranked import make_maps

NOTHING = np.zeros(3, bool)


def test_the_truth_teaches_the_share_of_levels_that_the_overlap_reaches():
    films = make_maps(films=2, candidates=8)
    films.boxes[0, 0] = (10, 10, 30, 30)
    films.boxes[0, 1] = (10, 10, 30, 23)  # IoU .65
    films.boxes[0, 2] = (90, 90, 99, 99)
    true = (np.array([[10.0, 10, 30, 30]]), np.zeros((0, 4)))
    targets = label_by_truth(films, true, (0.5, 0.6, 0.7, 0.8))
    np.testing.assert_allclose(targets.values[0, :3], [1.0, 0.5, 0.0])
    assert not targets.values[1].any()
    assert not targets.weights[0, -3:].any()  # candidates without area


def test_own_labels_have_as_many_boxed_empty_and_two_sided_films_as_the_reports():
    films = make_maps(films=20, candidates=30)
    one, two = (
        tuple(OpacityWords(side, NOTHING) for side in sides)
        for sides in (("left",), ("left", "right"))
    )
    reports = [FilmWords(True, one)] * 5 + [FilmWords(True, two)] * 3
    reports += [FilmWords(False, ())] * 8 + [FilmWords(None, ())] * 4
    own = own_reports(films, reports, films.logits)
    assert sum(film.has_opacity is True for film in own) == 8
    assert sum(film.has_opacity is False for film in own) == 8
    assert sum(len(film.opacities) == 2 for film in own) == 3
    best = films.logits.max(axis=1)
    boxed = np.array([film.has_opacity is True for film in own])
    empty = np.array([film.has_opacity is False for film in own])
    assert best[boxed].min() >= best[~boxed].max() >= best[empty].max()
