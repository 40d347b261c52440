"""Dictated reports: the structurer reads from them what the boxes show; halves share no patient."""

from __future__ import annotations

import numpy as np
import pytest

from attributes.lexicon.load import load_lexicon
from attributes.structure import Structurer
from data_manifests.laterality import places_of
from data_manifests.tables.leaks import refuse_overlap_leaks
from experiments.data.dictation import NEGATIVE, NORMAL, dictate, dictation_input

SIDE = 512
PLACES = {"left", "right", "upper", "middle", "lower"}


@pytest.fixture(scope="module")
def structurer():
    return Structurer(load_lexicon("en"))


def read_back(structurer, text):
    findings = [one for found in structurer.structure(text, "findings") for one in found.findings]
    present = [one for one in findings if one.assertion == "present"]
    return findings, {word for one in present for word in one.attributes}


@pytest.mark.parametrize("seed", range(60))
def test_what_is_read_from_a_dictation_is_where_the_boxes_lie(structurer, seed):
    rng = np.random.default_rng(seed)
    boxes = []
    for _ in range(int(rng.integers(1, 4))):
        x1, y1 = rng.uniform(20, 380, 2)
        boxes.append((x1, y1, x1 + rng.uniform(40, 120), y1 + rng.uniform(40, 240)))
    places = places_of(boxes, SIDE, SIDE)
    expected = {place.side for place in places} | {
        place.zone for place in places if place.side != "central" and place.zone != "whole"
    }
    findings, words = read_back(structurer, dictate(boxes, SIDE, SIDE))
    assert {one.assertion for one in findings} == {"present"}
    assert words & PLACES == expected & PLACES
    assert ("focal" in words) == (len(boxes) == 1)
    assert ("multifocal" in words) == (len(boxes) > 1)
    assert ("bilateral" in words) == ({"left", "right"} <= {place.side for place in places})


@pytest.mark.parametrize(
    ("side", "extent"), [(100, "mild"), (150, "moderate"), (200, "severe")]
)  # shares of the film: .04, .09, .15
def test_extent_grows_with_the_area(structurer, side, extent):
    box = (20.0, 20.0, 20.0 + side, 20.0 + side)
    _, words = read_back(structurer, dictate([box], SIDE, SIDE))
    assert words & {"mild", "moderate", "severe"} == {extent}


@pytest.mark.parametrize("text", [NORMAL, NEGATIVE])
def test_films_without_opacity_deny_it(structurer, text):
    findings, words = read_back(structurer, text)
    assert {one.assertion for one in findings} == {"absent"}
    assert not words


def test_the_halves_share_no_patient_and_only_films_with_a_label_have_a_report(real_data, tmp_path):
    found = dictation_input(real_data, tmp_path / "reports.csv", tmp_path, seed=0)
    boxed, dictated = found.boxed, found.pairs
    for test in found.tests:
        refuse_overlap_leaks(boxed, test.films)
        refuse_overlap_leaks(dictated, test.films)
    refuse_overlap_leaks(boxed, dictated)
    assert not set(boxed.images["patient_id"]) & set(dictated.images["patient_id"])
    sizes = [len(part.split("train").images) for part in (boxed, dictated)]
    assert 0.75 < sizes[1] / sizes[0] < 1  # half, less its own validation films
    assert dictated.boxes["image_id"].isin(dictated.images["image_id"]).all()
    with_box = dictated.images["image_id"].isin(set(dictated.boxes["image_id"]))
    texts = dictated.reports.set_index("study_id")["text"]
    denied = dictated.images["study_id"].map(texts).isin([NORMAL, NEGATIVE])
    assert not (with_box & denied).any()
    assert set(dictated.images.loc[~with_box, "study_id"].map(texts).dropna()) <= {NORMAL, NEGATIVE}
