"""Calibrated scores and calls, and their file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data_manifests.support.errors import CheckpointError, ConfigError
from localize.bundle.calibration import (
    Calibration,
    FilmLogit,
    read_calibration,
    write_calibration,
)


def test_scores_are_the_written_logistic():
    calibration = Calibration(0.3, 0.9, 0.4, -1.0, 0.2, 0.7)
    log_alpha = np.array([-0.5, -3.0])
    expected = [1 / (1 + np.exp(-(0.3 + 0.9 * value + 0.4 * 1.5))) for value in log_alpha]
    np.testing.assert_allclose(calibration.box_scores(log_alpha, 1.5), expected, rtol=1e-12)
    expected = 1 / (1 + np.exp(-(-1.0 + 0.2 * 1.5 + 0.7 * 0.5)))
    assert calibration.film_probability(1.5, 0.5) == pytest.approx(expected, rel=1e-12)


def test_without_calibration_a_score_is_the_detectors_own():
    probabilities = np.array([0.8, 0.3, 0.01])
    logits = np.log(probabilities / (1 - probabilities))
    film_sum = np.log(np.exp(logits).sum())
    scores = Calibration().box_scores(logits - film_sum, film_sum)
    np.testing.assert_allclose(scores, probabilities, rtol=1e-12)
    assert Calibration().film_probability(film_sum, logits.max()) == pytest.approx(0.8)


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


def test_an_operating_point_is_optional_and_kept(tmp_path):
    write_calibration(Calibration(), tmp_path / "without.json")
    assert "operating_point" not in (tmp_path / "without.json").read_text()
    assert read_calibration(tmp_path / "without.json").operating_point is None
    write_calibration(Calibration(operating_point=0.12), tmp_path / "with.json")
    assert read_calibration(tmp_path / "with.json").operating_point == 0.12
    (tmp_path / "wrong.json").write_text('{"operating_point": 1.5}')
    with pytest.raises(CheckpointError, match=r"wrong\.json"):
        read_calibration(tmp_path / "wrong.json")


def test_films_of_children_have_their_own_coefficients_and_survive_the_file(tmp_path):
    child = FilmLogit(0.5, 0.25, -0.75, (1.0, -2.0))
    calibration = Calibration(film_tail=(0.1, 0.2), child=child, prevalence=0.5)
    write_calibration(calibration, tmp_path / "calibration.json")
    again = read_calibration(tmp_path / "calibration.json")
    assert again == calibration
    logit = 0.5 + 0.25 * 1.5 - 0.75 * 2.0 + 1.0 * 0.3 - 2.0 * 0.4
    found = again.film_probability(1.5, 2.0, (0.3, 0.4), is_child=True)
    assert found == pytest.approx(1 / (1 + np.exp(-logit)), rel=1e-12)
    without = replace(again, child=None)
    own = again.film_probability(1.5, 2.0, (0.3, 0.4))
    assert without.film_probability(1.5, 2.0, (0.3, 0.4), is_child=True) == own != found


def test_a_calibration_without_its_own_prevalence_takes_none():
    assert Calibration().at(0.3, None) == 0.3
    with pytest.raises(ConfigError, match="a bundle that states its own"):
        Calibration().at(0.3, 0.1)
    assert Calibration(prevalence=0.5).at(0.5, 0.1) == pytest.approx(0.1, rel=1e-12)


@pytest.mark.parametrize("wrong", ["0", "1", "1.5", 'null, "prevalance": 1'])
def test_a_prevalence_of_nobody_or_everybody_is_no_calibration(tmp_path, wrong):
    (tmp_path / "calibration.json").write_text(f'{{"prevalence": {wrong}}}')
    with pytest.raises(CheckpointError, match="expected calibration"):
        read_calibration(tmp_path / "calibration.json")
