"""Calibration: what is fitted, what is kept, what is refused."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_manifests.support.errors import CheckpointError, DataError
from localize.bundle.calibration import Calibration, read_calibration, write_calibration
from localize.bundle.fit_calibration import (
    ERROR_RATE,
    MIN_ALPHA,
    ValidationFilm,
    conformal_bounds,
    fit_calibration,
)

TRUE_BOX = np.array([[0.0, 0.0, 10.0, 10.0]])
NO_BOX = np.zeros((0, 4))
NO_TAIL = np.zeros(4)
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
                film_tail=NO_TAIL,
                has_opacity=bool(has_opacity),
                width=100,
                height=100,
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


def test_scores_are_the_written_logistic():
    calibration = Calibration(0.3, 0.9, 0.4, -1.0, 0.2, 0.7)
    log_alpha = np.array([-0.5, -3.0])
    expected = [1 / (1 + np.exp(-(0.3 + 0.9 * value + 0.4 * 1.5))) for value in log_alpha]
    np.testing.assert_allclose(calibration.box_scores(log_alpha, 1.5), expected, rtol=1e-12)
    expected = 1 / (1 + np.exp(-(-1.0 + 0.2 * 1.5 + 0.7 * 0.5)))
    assert calibration.film_probability(1.5, 0.5, NO_TAIL) == pytest.approx(expected, rel=1e-12)


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
    probabilities = [
        fitted.film_probability(film.film_sum, film.film_max, NO_TAIL) for film in films
    ]
    assert np.mean(probabilities) == pytest.approx(
        np.mean([film.has_opacity for film in films]), abs=0.01
    )


def film_of(boxes, true_boxes, has_opacity) -> ValidationFilm:
    ranked = np.array(boxes, np.float64).reshape(-1, 4)
    log_alpha = -np.arange(1.0, len(boxes) + 1)
    return ValidationFilm(
        ranked, log_alpha, 0.0, 0.0, true_boxes, NO_TAIL, has_opacity, width=100, height=100
    )


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


def test_without_calibration_a_score_is_the_detectors_own():
    probabilities = np.array([0.8, 0.3, 0.01])
    logits = np.log(probabilities / (1 - probabilities))
    film_sum = np.log(np.exp(logits).sum())
    scores = Calibration().box_scores(logits - film_sum, film_sum)
    np.testing.assert_allclose(scores, probabilities, rtol=1e-12)
    assert Calibration().film_probability(film_sum, logits.max(), NO_TAIL) == pytest.approx(0.8)


def test_extreme_numbers_do_not_overflow():
    wild = Calibration(box_alpha=1e6)
    with np.errstate(all="raise"):
        scores = wild.box_scores(np.array([1e6, -1e6]), 0.0)
    assert scores.tolist() == pytest.approx([1.0, 0.0], abs=1e-20)


def test_a_calibration_survives_its_file(tmp_path):
    calibration = Calibration(0.1 + 0.2, 1 / 3, -0.7, 1e-9, 2.0, 3.0, 12, 120)
    write_calibration(calibration, tmp_path / "calibration.json")
    assert read_calibration(tmp_path / "calibration.json") == calibration


HOSTILE = {
    "not JSON": b"{",
    "a list": b"[]",
    "nested too deep": b"[" * 100_000,
    "NaN": b'{"box_alpha": NaN}',
    "infinity": b'{"box_alpha": 1e999}',
    "text for a number": b'{"box_alpha": "; rm -rf"}',
    "an unknown field": b'{"box_gamma": 1.0}',
    "null": b'{"box_alpha": null}',
    "bytes that are no text": b"\xff\xfe\x00",
    "a pickle": b"cos\nsystem\n(S'true'\ntR.",
    "empty": b"",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_file_is_refused(tmp_path, content):
    path = tmp_path / "calibration.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"calibration\.json: expected calibration"):
        read_calibration(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="expected calibration coefficients"):
        read_calibration(tmp_path / "calibration.json")


def test_the_file_holds_plain_numbers(tmp_path):
    fitted = fit_calibration(simulated(50, (0.0, 1.0, 0.0)))
    write_calibration(fitted, tmp_path / "c.json")
    content = json.loads((tmp_path / "c.json").read_text())
    plain = {name: value for name, value in asdict(fitted).items() if name in content}
    assert content == plain
    assert {type(value) for value in content.values()} == {float, int}
    assert read_calibration(tmp_path / "c.json") == fitted


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


def test_at_the_operating_score_validation_films_have_half_a_false_box_each():
    films = simulated(1000, (0.0, 1.0, 0.5))
    fitted = fit_calibration(films)
    wrong = [film for film in films if film.xyxy[0].tolist() == MISS]
    scores = [fitted.box_scores(film.log_alpha, film.film_sum)[0] for film in wrong]
    if len(wrong) > 500:
        assert (np.array(scores) > fitted.operating_score).sum() == 500
    else:
        assert fitted.operating_score is None


def test_place_probabilities_are_logistic_in_the_logit_of_the_boxes():
    calibration = Calibration(place_words={"left": (-0.5, 2.0)})
    assert calibration.place_probability("left", 0.75) == pytest.approx(
        sigmoid(-0.5 + 2 * np.log(3))
    )
    assert 0 < calibration.place_probability("left", 0.0) < 1e-6


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


@pytest.mark.parametrize(
    ("least_yes", "most_no", "probability", "expected"),
    [
        (0.2, 0.6, 0.1, "no"),
        (0.2, 0.6, 0.4, "unsure"),
        (0.2, 0.6, 0.7, "yes"),
        (0.6, 0.3, 0.4, "unsure"),  # a film like neither kind
        (0.0, 1.0, 0.99, "unsure"),  # never calibrated
    ],
)
def test_a_film_is_called_by_the_two_bounds(least_yes, most_no, probability, expected):
    calibration = Calibration(least_yes=least_yes, most_no=most_no)
    assert calibration.opacity(probability) == expected


def test_bounds_are_order_statistics_and_few_films_exclude_nothing():
    probabilities = np.arange(40) / 40
    labels = np.arange(40) % 2 == 0
    least_yes, most_no = conformal_bounds(probabilities, labels)
    assert least_yes == np.sort(probabilities[labels])[1]  # floor(.1 * 21) = 2nd
    assert most_no == np.sort(probabilities[~labels])[-2]
    assert conformal_bounds(np.array([0.2, 0.8]), np.array([False, True])) == (0.0, 1.0)
