"""Every sentence of a report gets its boxes, or the reason why it has none."""

from __future__ import annotations

import numpy as np
import pytest

from attributes.lexicon.load import load_lexicon
from attributes.structure import Structurer
from localize.grounding.film_anatomy import FilmAnatomy
from localize.grounding.ground_report import (
    GroundingRule,
    ScoredRegions,
    ground_finding,
    ground_report,
)
from localize.grounding.report_sentences import report_sentences

FILM = FilmAnatomy(1000, 1000)
# Right upper, left lower, the latter again with another edge, and a weak one in the right base.
REGIONS = ScoredRegions(
    np.array(
        [[200, 150, 400, 300], [600, 520, 800, 680], [600, 520, 820, 680], [200, 550, 400, 650]],
        float,
    ),
    np.array([0.6, 0.4, 0.2, 0.1]),
)  # fmt: skip


@pytest.fixture(scope="module")
def structurer():
    return Structurer(load_lexicon("en"), extended=True)


def grounded(structurer, text, section=""):
    return ground_report(report_sentences([(section, text)], structurer), REGIONS, FILM)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("No effusion.", "absent"),
        ("The left opacity has resolved.", "history"),
        ("Cannot exclude pneumonia.", "uncertain"),
        ("CT shows a left opacity.", "outside the film"),
        ("Opacity on the lateral view.", "outside the film"),
        ("Endotracheal tube in place.", "no method"),
        ("Rib fracture.", "no method"),
        ("Tortuous aorta.", "no known finding"),
        ("The patient was discharged on Monday.", "not visual"),
        ("Small pneumothorax.", "not found"),
    ],
)
def test_a_sentence_without_a_box_says_why(structurer, text, why):
    (row,) = grounded(structurer, text)
    assert (row.why_none, len(row), row.sentence) == (why, 0, text)


def test_history_is_not_grounded_but_not_lost(structurer):
    rows = grounded(structurer, "HISTORY: Left pneumonia.\nFINDINGS: Left lower lobe opacity.")
    assert [row.why_none for row in rows] == ["history", ""]
    assert rows[1].section == "findings"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Right upper lobe opacity.", 0),
        ("Left basal consolidation.", 1),
        ("Possible left lower lobe pneumonia.", 1),
        ("Opacity in the right base.", 3),
        ("Opacity.", 0),
    ],
)
def test_the_region_that_the_words_name_is_taken(structurer, text, first):
    (row,) = grounded(structurer, text)
    assert row.methods == ("detector",)
    overlap = row.xyxy[0] - REGIONS.xyxy[first]
    assert np.abs(overlap).max() <= 20  # neighbours move the edges a little


def test_a_bilateral_finding_has_a_box_on_either_side(structurer):
    (row,) = grounded(structurer, "Bilateral opacities.")
    centres = (row.xyxy[:, 0] + row.xyxy[:, 2]) / 2
    assert sorted(centres > 500) == [False, True]


def test_a_multifocal_finding_has_several_boxes_and_a_focal_one_has_one(structurer):
    (many,) = grounded(structurer, "Multifocal opacities.")
    (one,) = grounded(structurer, "Focal opacity.")
    assert len(many) == 2
    assert len(one) == 1


def test_offsets_point_to_sentence_and_noun(structurer):
    text = "FINDINGS: Heart is normal. Patchy left lower lobe opacity, no effusion."
    rows = grounded(structurer, text)
    for row in rows:
        assert text[row.start : row.end] == row.sentence
        assert text[row.words_start : row.words_end] == row.words
    assert [row.finding for row in rows] == ["", "opacity", "effusion"]


def test_pleural_findings_come_from_place_and_the_heart_has_its_own_box(structurer):
    effusion, heart, side_unknown = grounded(
        structurer, "Large left effusion. The heart is enlarged. There is an effusion."
    )
    assert effusion.methods == ("place",)
    assert effusion.xyxy[0][0] > 500
    small = ground_finding("effusion", ("left", "small"), REGIONS, FILM).xyxy[0]
    assert small[1] > effusion.xyxy[0][1]  # a larger effusion reaches higher
    assert heart.methods == ("heart",)
    assert side_unknown.why_none == "not found"


def test_scores_are_those_of_the_detector_times_the_agreement():
    found = ground_finding("opacity", ("left",), REGIONS, FILM)
    assert found.scores[0] == pytest.approx(0.4)
    nothing = ground_finding("opacity", ("left",), REGIONS, FILM, GroundingRule(least_score=0.5))
    assert len(nothing.scores) == 0


def test_the_edges_are_the_weighted_mean_of_the_overlapping_regions():
    found = ground_finding("opacity", ("left",), REGIONS, FILM)
    iou = (200 * 160) / (220 * 160)
    right = (0.4 * 800 + 0.2 * iou * 820) / (0.4 + 0.2 * iou)
    assert found.xyxy[0][2] == pytest.approx(right)


def test_a_sentence_of_ten_thousand_words_is_grounded(structurer):
    text = "left lower lobe opacity and " * 2500 + "no effusion."
    rows = grounded(structurer, text)
    assert (
        "".join(row.sentence for row in {row.start: row for row in rows}.values()).count("opacity")
        == 2500
    )
    assert sum(row.finding == "opacity" for row in rows) == 2500
