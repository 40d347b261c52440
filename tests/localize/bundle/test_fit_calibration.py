"""The fit of the calibration: oracles, edge cases, refusals."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_manifests.support.errors import DataError
from localize.bundle.calibration import Calibration, write_calibration
from localize.bundle.fit_calibration import (
    ERROR_RATE,
    MIN_ALPHA,
    ValidationFilm,
    balanced_weights,
    conformal_bounds,
    fit_calibration,
)

TRUE_BOX = np.array([[0.0, 0.0, 10.0, 10.0]])


NO_BOX = np.zeros((0, 4))


HIT, MISS = [0.0, 0.0, 10.0, 10.0], [50.0, 50.0, 60.0, 60.0]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def simulated(films: int, coefficients, *, seed: int = 0):
    """One box a film, right with the logistic's probability; films and their labels likewise."""
    random = np.random.default_rng(seed)
    intercept, alpha, film = coefficients
    simulated_films = []
    for _ in range(films):
        log_alpha, film_sum = random.normal(-2, 1.5), random.normal(0, 1.5)
        film_max = film_sum - random.exponential(0.7)
        is_hit = random.random() < sigmoid(intercept + alpha * log_alpha + film * film_sum)
        has_opacity = random.random() < sigmoid(-0.5 + 0.8 * film_sum + 0.3 * film_max)
        simulated_films.append(
            ValidationFilm(
                xyxy=np.array([HIT if is_hit else MISS]),
                log_alpha=np.array([log_alpha]),
                film_sum=film_sum,
                film_max=film_max,
                true_boxes=TRUE_BOX,
                has_opacity=bool(has_opacity),
            )
        )
    return simulated_films


def test_a_known_logistic_is_recovered():
    fitted = fit_calibration(simulated(6000, (0.7, 1.3, 0.5)))
    assert fitted.box_intercept == pytest.approx(0.7, abs=0.2)
    assert fitted.box_alpha == pytest.approx(1.3, abs=0.1)
    assert fitted.box_film == pytest.approx(0.5, abs=0.1)
    assert fitted.film_sum + fitted.film_max == pytest.approx(1.1, abs=0.15)
    assert (fitted.films, fitted.boxes) == (6000, 6000)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), slope=st.sampled_from([-3.0, -0.3, 0.0, 0.3, 3.0]))
def test_every_fit_keeps_the_order_inside_a_film(seed, slope):
    fitted = fit_calibration(simulated(60, (2.0, slope, 0.2), seed=seed))
    assert fitted.box_alpha >= MIN_ALPHA
    log_alpha = np.sort(np.random.default_rng(seed).normal(-4, 3, 20))[::-1]
    scores = fitted.box_scores(log_alpha, 0.4)
    assert (np.diff(scores) <= 0).all()
    assert ((scores >= 0) & (scores <= 1)).all()


@pytest.mark.parametrize("slope", [-2.0, 1.0], ids=["alpha misleads", "alpha helps"])
def test_the_mean_score_is_the_share_of_right_boxes(slope):
    films = simulated(2000, (0.0, slope, 0.5))
    fitted = fit_calibration(films)
    scores = [fitted.box_scores(film.log_alpha, film.film_sum)[0] for film in films]
    right = [film.xyxy[0].tolist() == HIT for film in films]
    assert np.mean(scores) == pytest.approx(np.mean(right), abs=0.01)
    probabilities = [fitted.film_probability(film.film_sum, film.film_max) for film in films]
    assert np.mean(probabilities) == pytest.approx(
        np.mean([film.has_opacity for film in films]), abs=0.01
    )


def film_of(boxes, true_boxes, has_opacity) -> ValidationFilm:
    ranked = np.array(boxes, np.float64).reshape(-1, 4)
    log_alpha = -np.arange(1.0, len(boxes) + 1)
    return ValidationFilm(ranked, log_alpha, 0.0, 0.0, true_boxes, has_opacity)


def test_a_true_box_is_matched_once_by_the_best_ranked_box():
    double = film_of([HIT, [0.0, 0.0, 10.0, 9.0], MISS], TRUE_BOX, True)
    fitted = fit_calibration([double, film_of([MISS], NO_BOX, False)])
    # One match among four: log-odds of 1/4 if nothing else told boxes apart.
    mean = np.mean(
        [*fitted.box_scores(double.log_alpha, 0.0), *fitted.box_scores(np.array([-1.0]), 0.0)]
    )
    assert mean == pytest.approx(0.25, abs=0.01)


def test_a_film_with_unknown_boxes_counts_only_as_a_film():
    known = [film_of([HIT, MISS], TRUE_BOX, True), film_of([MISS], NO_BOX, False)]
    plain = fit_calibration(known)
    more = fit_calibration([*known, film_of([HIT], None, True)])
    assert (more.boxes, more.films) == (3, 3)
    assert more.box_alpha == plain.box_alpha
    assert more.film_intercept != plain.film_intercept


def of_source(source, count, share, *, slope=1.0, is_child=False, seed=0):
    """Films whose log odds are 2 * slope * film_max where half of them have an opacity."""
    random = np.random.default_rng(seed)
    films = []
    for _ in range(count):
        has_opacity = bool(random.random() < share)
        value = random.normal(slope if has_opacity else -slope)
        boxes = TRUE_BOX if has_opacity else NO_BOX
        box = np.array([HIT if has_opacity else MISS])
        one = ValidationFilm(box, np.array([-1.0]), 0.0, value, boxes, has_opacity, np.zeros(4))
        films.append(replace(one, width=100, height=100, source=source, is_child=is_child))
    return films


def test_sources_with_other_shares_teach_one_map_of_half_the_films():
    films = of_source("rare", 1500, 0.1) + of_source("often", 1500, 0.8, seed=1)
    fitted = fit_calibration(films, several_sources=True)
    assert fitted.prevalence == 0.5
    for value in (-1.0, 0.0, 0.7):
        found = fitted.film_probability(0.0, value, np.zeros(4))
        assert found == pytest.approx(sigmoid(2 * value), abs=0.04)
    rare = [fitted.film_probability(0.0, f.film_max, f.film_tail) for f in films[:1500]]
    shown = np.mean([fitted.at(one, 0.1) for one in rare])
    assert shown == pytest.approx(0.1, abs=0.02)


def test_films_of_children_are_fitted_apart():
    children = of_source("children", 1000, 0.6, slope=2.0, is_child=True, seed=2)
    fitted = fit_calibration(of_source("adults", 1000, 0.2) + children, several_sources=True)
    adult, child = (
        fitted.film_probability(0.0, 0.5, np.zeros(4), is_child=one) for one in (False, True)
    )
    assert adult == pytest.approx(sigmoid(1.0), abs=0.04)
    assert child == pytest.approx(sigmoid(2.0), abs=0.06)  # the fit shrinks slopes
    few = of_source("children", 12, 0.5, is_child=True, seed=3)
    assert fit_calibration(of_source("adults", 500, 0.2) + few, several_sources=True).child is None


def test_each_source_counts_by_its_films_and_half_of_it_as_positive():
    labels = np.array([True] * 30 + [False] * 10 + [True] * 10 + [False] * 90 + [True] * 3)
    sources = ["a"] * 40 + ["b"] * 100 + ["all positive"] * 3
    weights = balanced_weights(labels[:140], sources[:140])
    a, b = np.arange(140) < 40, np.arange(140) >= 40
    for rows, films in ((a, 40), (b, 100)):
        assert weights[rows & labels[:140]].sum() == pytest.approx(films / 2)
        assert weights[rows & ~labels[:140]].sum() == pytest.approx(films / 2)
    together = balanced_weights(labels, sources)  # a source of one kind: nothing to balance it by
    assert together[labels].sum() == pytest.approx(together[~labels].sum())
    assert together.sum() == pytest.approx(143)


def test_a_film_without_any_region_does_no_harm():
    films = [film_of([HIT, MISS], TRUE_BOX, True), film_of([MISS], NO_BOX, False)]
    assert fit_calibration([*films, film_of([], TRUE_BOX, True)]).boxes == 3


@pytest.mark.parametrize(("box", "rate"), [(MISS, 1 / 5), (HIT, 4 / 5)], ids=["none", "all"])
def test_boxes_that_nothing_tells_apart_get_the_smoothed_rate(box, rate):
    fitted = fit_calibration([film_of([box], TRUE_BOX, label) for label in (True, False, True)])
    assert fitted.box_scores(np.array([0.0]), 7.0)[0] == pytest.approx(rate)
    assert np.diff(fitted.box_scores(np.array([0.0, -1.0]), 7.0))[0] < 0


@pytest.mark.parametrize(
    ("labels", "message"),
    [([], "got none"), ([True, True], "2 of 2 with"), ([False, None], "0 of 1 with")],
    ids=["no films", "only opacities", "no opacity"],
)
def test_one_sided_labels_are_refused(labels, message):
    films = [film_of([HIT, MISS], TRUE_BOX, label) for label in labels]
    with pytest.raises(DataError, match=message):
        fit_calibration(films)


def test_the_file_holds_plain_numbers(tmp_path):
    fitted = fit_calibration(simulated(50, (0.0, 1.0, 0.0)))
    write_calibration(fitted, tmp_path / "c.json")
    content = json.loads((tmp_path / "c.json").read_text())
    assert content == {name: value for name, value in asdict(fitted).items() if name in content}
    assert {"box_alpha", "film_max", "least_yes"} <= set(content)
    assert {type(value) for value in content.values()} == {float, int}


def test_conformal_sets_err_as_often_as_promised():
    """Over many draws of validation films, new films of each kind are called wrong 10 % at most."""
    rng = np.random.default_rng(0)
    wrong = {True: [], False: []}
    for _ in range(400):
        labels = np.arange(70) < 25
        probabilities = np.clip(rng.normal(np.where(labels, 0.6, 0.4), 0.2), 0, 1)
        least_yes, most_no = conformal_bounds(probabilities, labels)
        calibration = Calibration(least_yes=least_yes, most_no=most_no)
        for kind, centre, bad in ((True, 0.6, "no"), (False, 0.4, "yes")):
            fresh = np.clip(rng.normal(centre, 0.2, 20), 0, 1)
            wrong[kind] += [calibration.opacity(p) == bad for p in fresh]
    for kind, share in ((True, np.mean(wrong[True])), (False, np.mean(wrong[False]))):
        assert share <= ERROR_RATE + 0.01, kind
        assert share >= ERROR_RATE / 2, kind  # not by calling everything unsure


def test_bounds_are_order_statistics_and_few_films_exclude_nothing():
    probabilities = np.arange(40) / 40
    labels = np.arange(40) % 2 == 0
    least_yes, most_no = conformal_bounds(probabilities, labels)
    assert least_yes == np.sort(probabilities[labels])[1]  # floor(.1 * 21) = 2nd
    assert most_no == np.sort(probabilities[~labels])[-2]
    assert conformal_bounds(np.array([0.2, 0.8]), np.array([False, True])) == (0.0, 1.0)
