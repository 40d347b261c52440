from __future__ import annotations

import dataclasses
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import pneumoloc
from data_manifests.boxes import Boxes
from data_manifests.support.errors import ConfigError
from localize.prediction.film_prediction import FilmPrediction
from localize.prediction.tables import write_prediction
from localize.viewing.drafts.draft_files import drafts_as_json, drafts_as_text
from localize.viewing.drafts.draft_film import draft_film, draft_films
from localize.viewing.drafts.film_draft import DraftOptions
from tests.localize.predictions import make_prediction

# On films of 1000 x 1000.
LEFT_LOWER = (600, 550, 800, 750)
LEFT_UPPER = (600, 100, 800, 250)
RIGHT_LOWER = (200, 550, 400, 750)
RIGHT_UPPER = (200, 100, 400, 250)
LEFT_LUNG = (600, 150, 850, 750)
RIGHT_LUNG = (150, 150, 400, 750)


def draft(boxes, p=0.9, own=(), call="", **attributes):
    """The draft of a film; `boxes` are (corners, score) or (corners, score, keywords)."""
    return draft_film(make_predicted(boxes, p, call, attributes), DraftOptions())


def make_predicted(boxes, p, call="", attributes=(), warning=""):
    corners = np.array([box[0] for box in boxes], dtype=float).reshape(-1, 4)
    unknown = np.full(len(boxes), np.nan)
    return FilmPrediction(
        image_id="film",
        path="",
        boxes=Boxes(corners, 1000, 1000),
        scores=np.array([box[1] for box in boxes], dtype=float),
        alphas=unknown,
        detector_scores=unknown,
        labels=("opacity",) * len(boxes),
        box_attributes=tuple(tuple(box[2:]) for box in boxes),
        attributes=dict(attributes),
        p_pneumonia=p,
        opacity=call,
        warning=warning,
    )


def test_a_word_without_evidence_is_in_no_draft():
    made = make_predicted([(LEFT_LOWER, 0.9)], 0.9, attributes={"patchy": 0.95, "hazy": 0.9})
    said = str(draft_film(made, DraftOptions()))
    assert "patchy" in said
    left_out = str(draft_film(dataclasses.replace(made, unproven=("patchy",)), DraftOptions()))
    assert "patchy" not in left_out


def texts(*args, **kwargs) -> list[str]:
    return [sentence.text for sentence in draft(*args, **kwargs).sentences]


@pytest.mark.parametrize(
    ("boxes", "p", "attributes", "expected", "reason"),
    [
        ([(LEFT_LOWER, 0.8)], 0.9, {}, ["Opacity in the left lower zone."], "place alone"),
        (
            [(LEFT_LOWER, 0.8)],
            0.5,
            {"patchy": 0.8, "moderate": 0.7},
            ["Patchy opacity in the left lower zone, moderate; uncertain."],
            "P between the thresholds",
        ),
        (
            [(LEFT_LOWER, 0.8)],
            0.9,
            {"patchy": 0.8, "focal": 0.6, "hazy": 0.7, "streaky": 0.9},
            ["Patchy streaky opacity in the left lower zone."],
            "the likeliest word of each axis",
        ),
        (
            [(RIGHT_LOWER, 0.8)],
            0.9,
            {"patchy": 0.49},
            ["Opacity in the right lower zone."],
            "a keyword below one half is not used",
        ),
        (
            [(RIGHT_LOWER, 0.3)],
            0.9,
            {},
            ["Opacity in the right lower zone; uncertain."],
            "a weak box",
        ),
        (
            [(RIGHT_LOWER, 0.05)],
            0.9,
            {},
            ["Opacity in the right lower zone; uncertain."],
            "the best box is described also below the threshold",
        ),
        (
            [(LEFT_LOWER, 0.8), (RIGHT_LOWER, 0.7)],
            0.9,
            {"focal": 0.9, "multifocal": 0.8, "severe": 0.9},
            ["Multifocal opacities in both lower zones, severe."],
            "both sides of one zone; two boxes are not focal",
        ),
        (
            [(LEFT_LOWER, 0.8), (RIGHT_LOWER, 0.25)],
            0.9,
            {},
            ["Opacity in the left lower zone.", "Opacity in the right lower zone; uncertain."],
            "a weak side does not borrow the other's certainty",
        ),
        (
            [(RIGHT_UPPER, 0.8), (LEFT_LOWER, 0.7)],
            0.9,
            {"mild": 0.8, "multifocal": 0.9},
            [
                "Opacity in the right upper zone.",
                "Opacity in the left lower zone.",
                "Overall mild.",
            ],
            "severity belongs to the film; one box is not multifocal",
        ),
        (
            [(LEFT_LUNG, 0.8), (RIGHT_LUNG, 0.8)],
            0.9,
            {"diffuse": 0.9},
            ["Diffuse opacities in both lungs."],
            "tall boxes",
        ),
        (
            [(LEFT_LOWER, 0.8)],
            0.9,
            {"diffuse": 0.9},
            ["Opacity in the left lower zone."],
            "a zone is not diffuse",
        ),
        ([(LEFT_LOWER, 0.1)], 0.1, {}, ["No opacity stands out."], "nothing likely"),
        ([], 0.1, {}, ["No opacity stands out."], "no box at all"),
        (
            [(LEFT_LOWER, 0.8)],
            0.1,
            {},
            ["Opacity in the left lower zone; uncertain."],
            "a good box against P",
        ),
        (
            [],
            0.9,
            {"hazy": 0.8},
            ["Hazy opacity without a place; uncertain."],
            "P without a box",
        ),
    ],
)
def test_sentences(boxes, p, attributes, expected, reason):
    assert texts(boxes, p, **attributes) == expected, reason


probabilities = st.floats(0, 1)


@given(
    box=st.sampled_from([LEFT_LOWER, LEFT_UPPER, LEFT_LUNG, RIGHT_LOWER, RIGHT_UPPER, RIGHT_LUNG]),
    score=probabilities,
    p=probabilities,
    left=probabilities,
    right=probabilities,
    own=st.sets(st.sampled_from(["left", "right", "lower"])),
)
def test_side_is_that_of_the_box_whatever_the_keywords_say(box, score, p, left, right, own):
    sentence = draft([(box, score, *own)], p, left=left, right=right).sentences[0]
    words = set(re.findall("left|right", sentence.text))
    expected = "left" if box[0] >= 500 else "right"
    assert words <= {expected}
    assert bool(words) == (sentence.statement == "opacity")


@given(p=probabilities, score=probabilities)
def test_uncertain_sentences_are_those_with_doubts_and_say_so(p, score):
    for sentence in draft([(LEFT_LOWER, score)], p).sentences:
        assert sentence.is_uncertain == bool(sentence.doubts) == ("uncertain" in sentence.text)


@pytest.mark.parametrize(
    ("call", "p", "score", "text", "doubts"),
    [
        ("yes", 0.4, 0.8, "Opacity in the left lower zone.", ()),
        ("no", 0.6, 0.3, "No opacity stands out.", ()),
        (
            "no",
            0.2,
            0.8,
            "Opacity in the left lower zone; uncertain.",
            ("the film is called no, P(pneumonia) 0.20",),
        ),
        (
            "unsure",
            0.2,
            0.1,
            "No opacity stands out; uncertain.",
            ("the film is called unsure, P(pneumonia) 0.20",),
        ),
        (
            "unsure",
            0.8,
            0.8,
            "Opacity in the left lower zone; uncertain.",
            ("the film is called unsure, P(pneumonia) 0.80",),
        ),
    ],
)
def test_the_films_own_call_goes_before_the_thresholds(call, p, score, text, doubts):
    (sentence,) = draft([(LEFT_LOWER, score)], p=p, call=call).sentences
    assert (sentence.text, sentence.doubts) == (text, doubts)


@pytest.mark.parametrize(
    ("p", "score", "doubt"),
    [
        (0.9, 0.3979, "the best box score here, 0.3979, is below 0.40"),
        (0.6999, 0.8, "P(pneumonia) 0.6999 lies between 0.30 and 0.70"),
        (0.2961, 0.8, "P(pneumonia) is only 0.2961"),
    ],
)
def test_no_number_is_rounded_up_to_its_bound(p, score, doubt):
    assert draft([(LEFT_LOWER, score)], p=p).sentences[0].doubts == (doubt,)


def test_box_with_the_keyword_of_the_other_side_is_a_doubt():
    sentence = draft([(LEFT_LOWER, 0.9, "right", "lower")]).sentences[0]
    assert sentence.text == "Opacity in the left lower zone; uncertain."
    assert sentence.doubts == ("box 1 has the keyword right",)


def test_box_with_the_keywords_of_both_sides_is_no_doubt():
    assert not draft([(LEFT_LOWER, 0.9, "right", "left")]).sentences[0].doubts


def test_likely_side_without_a_box_is_to_be_checked():
    found = draft([(LEFT_LOWER, 0.9)], left=0.9, right=0.8)
    assert found.to_check == ("keyword right is likely (0.80), but no box lies there",)


def test_likely_keywords_of_an_empty_film_are_to_be_checked():
    found = draft([], p=0.1, lower=0.8, hazy=0.2)
    assert found.to_check == ("likely keywords although no opacity stands out: lower (0.80)",)


def test_evidence_names_the_boxes_and_the_probabilities_used():
    sentence = draft(
        [(LEFT_UPPER, 0.9), (LEFT_LOWER, 0.8), (RIGHT_LOWER, 0.1)], patchy=0.8, hazy=0.1
    ).sentences[1]
    assert [box.number for box in sentence.boxes] == [2]
    assert sentence.boxes[0].xyxy == LEFT_LOWER
    assert sentence.keywords == {"patchy": 0.8}
    assert sentence.places == ("left lower zone",)


def test_more_boxes_than_allowed_are_left_out_from_the_weakest():
    boxes = [(LEFT_LOWER, 0.9 - 0.1 * k) for k in range(6)]
    assert len(draft(boxes).sentences[0].boxes) == 4


def test_thresholds_in_the_wrong_order_are_refused():
    with pytest.raises(ConfigError, match="absent <= present"):
        DraftOptions(present=0.2, absent=0.5)


def prediction():
    made = make_prediction(
        ["a", "b\nFILM forged", "c"],
        [("a", 350, 300, 450, 400, 0.8)],
        p_pneumonia=[0.9, 0.1, float("nan")],
        attributes={"patchy": [0.8, 0.1, 0.1]},
        severity=[3.0, 0.0, float("nan")],
    )
    made.images.loc[2, ["status", "error"]] = ["skipped", "c.png: an empty file"]
    return made


def test_text_has_plain_sections_and_is_no_report():
    made = prediction()
    text = drafts_as_text(draft_films(made), "bundle")
    first = text.split("\n\n")[1].splitlines()
    assert first == [
        "FILM a",
        "DRAFT",
        "  1. Patchy opacity in the left lower zone.",
        "EVIDENCE",
        "  1. box 1 at [350, 300, 450, 400] with score 0.80; patchy 0.80",
        "  Film: P(pneumonia) 0.90, severity 3.0",
    ]
    assert "not a report" in text
    assert "FILM c\n  Not drafted: c.png: an empty file" in text


def test_line_breaks_in_ids_cannot_forge_a_film():
    text = drafts_as_text(draft_films(prediction()), "bundle\nFILM forged")
    assert sum(line.startswith("FILM ") for line in text.splitlines()) == 3


def test_json_holds_the_same_sentences_with_their_evidence():
    films = draft_films(prediction())
    content = json.loads(drafts_as_json(films, DraftOptions(), "bundle"))
    assert "not a report" in content["notice"]
    first = content["films"][0]
    assert first["sentences"][0]["text"] == "Patchy opacity in the left lower zone."
    assert first["sentences"][0]["boxes"][0]["xyxy"] == [350, 300, 450, 400]
    assert content["films"][2]["skipped"] == "c.png: an empty file"
    assert content["options"]["present"] == 0.7


@pytest.mark.parametrize("name", ["d.json", "d.txt"])
def test_command_writes_either_form(tmp_path, name):
    write_prediction(prediction(), tmp_path / "p")
    result = CliRunner().invoke(
        pneumoloc.command_line(), ["drafts", str(tmp_path / "p"), "--out", str(tmp_path / name)]
    )
    assert result.exit_code == 0, result.output
    assert "left lower zone" in (tmp_path / name).read_text("utf-8")


def test_command_refuses_other_forms(tmp_path):
    write_prediction(prediction(), tmp_path / "p")
    result = CliRunner().invoke(
        pneumoloc.command_line(), ["drafts", str(tmp_path / "p"), "--out", str(tmp_path / "d.docx")]
    )
    assert isinstance(result.exception, ConfigError)


def test_a_picture_unlike_the_training_films_is_to_check_first():
    film = make_predicted([], 0.9, "yes", warning="looks like a cat")
    assert draft_film(film, DraftOptions()).to_check[0] == "film: looks like a cat"
