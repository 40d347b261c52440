"""Pairs over time: which patients, which of their films, in which order."""

from __future__ import annotations

import numpy as np

from experiments.figures.series import chosen_pairs
from experiments.figures.source import FigureSource
from experiments.tables.severity_figure import SeverityPoints
from tests.localize.predictions import make_truth


def source(scores, patients, time):
    """A source of films `film-k` with expert scores (None: not scored)."""
    ids = [f"film-{k}" for k in range(len(scores))]
    scored = [k for k, score in enumerate(scores) if score is not None]
    points = SeverityPoints(
        "expert",
        tuple(ids[k] for k in scored),
        np.array([scores[k] for k in scored], float),
        np.zeros(len(scored)),
    )
    films = make_truth(ids, patients=patients)
    times = {i: t for i, t in zip(ids, time, strict=True) if t is not None}
    return FigureSource(films, {}, "proposed", films, None, times, [points], None)


def test_the_greatest_rise_the_middle_and_the_greatest_fall():
    patients = ["rise", "rise", "same", "same", "fall", "fall"]
    found = chosen_pairs(source([1, 6, 3, 3, 7, 2], patients, [0, 9, 0, 9, 0, 9]))
    assert found == [("film-0", "film-1"), ("film-2", "film-3"), ("film-4", "film-5")]


def test_time_orders_the_films_and_the_first_and_last_are_taken():
    found = chosen_pairs(source([1, 2, 8], ["p"] * 3, [5, 9, 0]))
    assert found == [("film-2", "film-1")]


def test_films_without_score_or_time_and_films_of_one_day_are_no_pair():
    patients = ["unscored", "unscored", "undated", "undated", "one day", "one day"]
    assert chosen_pairs(source([1, None, 2, 3, 4, 5], patients, [0, 1, 0, None, 3, 3])) == []
