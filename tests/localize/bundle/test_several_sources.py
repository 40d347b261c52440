"""A calibration of several sources: words of place, the tail of scores, an operating point."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from localize.bundle.calibration import Calibration, read_calibration, write_calibration
from localize.bundle.fit_calibration import ValidationFilm, fit_calibration
from tests.localize.bundle.test_fit_calibration import NO_BOX, sigmoid


def test_a_file_of_several_sources_is_read_again(tmp_path):
    films = [
        placed_film(side, hit, k) for k, (side, hit) in enumerate(product(range(2), [0, 1] * 20))
    ]
    fitted = fit_calibration(films, several_sources=True)
    assert {"left", "right"} <= set(fitted.place_words)
    assert len(fitted.film_tail) == 4
    write_calibration(fitted, tmp_path / "c.json")
    assert read_calibration(tmp_path / "c.json") == fitted


def placed_film(side: int, hit: int, seed: int) -> ValidationFilm:
    """A film of 100 x 100 px with one box on a side, more often right the higher its weight."""
    x = 10.0 + 50 * side
    box = np.array([[x, 60.0, x + 20, 80.0]])
    rng = np.random.default_rng(seed)
    weight = rng.normal(hit, 1)
    return ValidationFilm(
        xyxy=box,
        log_alpha=np.array([weight]),
        film_sum=weight,
        film_max=weight,
        true_boxes=box if hit else NO_BOX,
        film_tail=rng.normal(hit, 1, 4),
        has_opacity=bool(hit),
        width=100,
        height=100,
    )


def test_the_film_tail_moves_the_probability_of_a_film():
    calibration = Calibration(film_max=1.0, film_tail=(0.5, 0.0, 0.0, -1.0))
    tail = np.array([2.0, 9.0, 9.0, 0.5])
    assert calibration.film_probability(0.0, 0.2, tail) == pytest.approx(sigmoid(0.2 + 1.0 - 0.5))


def test_at_the_operating_point_validation_films_have_half_a_false_box_each():
    films = [placed_film(0, hit, seed) for seed, hit in enumerate([0, 0, 0, 1] * 50)]
    fitted = fit_calibration(films, several_sources=True)
    false = [
        fitted.box_scores(film.log_alpha, film.film_sum)[0]
        for film in films
        if len(film.true_boxes) == 0
    ]
    assert (np.array(false) > fitted.operating_point).sum() == 0.5 * len(films)


def test_place_probabilities_are_logistic_in_the_logit_of_the_boxes():
    calibration = Calibration(place_words={"left": (-0.5, 2.0)})
    assert calibration.place_probability("left", 0.75) == pytest.approx(
        sigmoid(-0.5 + 2 * np.log(3))
    )
    assert 0 < calibration.place_probability("left", 0.0) < 1e-6
