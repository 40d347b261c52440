"""Evidence for keywords: boxes tell of places, nothing tells of texture."""

from __future__ import annotations

import numpy as np

from localize.bundle.calibration import Calibration
from localize.bundle.fit_calibration import ValidationFilm
from localize.bundle.keyword_evidence import KeywordEvidence, evidence_json, keyword_evidence

LEFT, RIGHT = [60.0, 60.0, 80.0, 80.0], [10.0, 60.0, 30.0, 80.0]


def film(found, true) -> ValidationFilm:
    boxes = np.array(true, np.float64).reshape(-1, 4)
    return ValidationFilm(
        np.array([found]), np.zeros(1), 0.0, 0.0, boxes, True, width=100, height=100
    )


def test_boxes_on_the_true_side_are_evidence_and_films_without_boxes_are_not_asked():
    films = [film(LEFT, [LEFT]), film(RIGHT, [RIGHT]), film(LEFT, [LEFT, RIGHT]), film(LEFT, [])]
    calibration = Calibration(place_words={"left": (0.0, 1.0)})
    evidence = keyword_evidence(("left", "right", "patchy"), films, calibration)
    assert evidence["left"] == KeywordEvidence("boxes", 1.0, films=3, present=2)
    assert evidence["right"] == evidence["patchy"] == KeywordEvidence("none")
    assert evidence_json(evidence)["patchy"]["source"] == "none"


def test_a_word_that_boxes_predict_at_chance_is_not_shown():
    films = [film(LEFT, [RIGHT]), film(RIGHT, [LEFT])]
    evidence = keyword_evidence(("left",), films, Calibration(place_words={"left": (0.0, 1.0)}))
    assert evidence["left"] == KeywordEvidence("none", 0.0, films=2, present=1)
