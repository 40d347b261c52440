"""`make_pairs`: which films are learned from, and what is known about them."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from attributes.targets.training_targets import read_targets
from data_manifests.support.errors import DataError
from detector.roi_store import RoiStore
from localize.training.pairs import make_pairs
from tests.localize.models import KEYWORDS, plant_store

# One study a row: the states of the six keywords, and whether a finding is present.
REPORTS = {
    "present": ("present unmentioned present unmentioned unmentioned absent", True),
    "hedged": ("uncertain unmentioned unmentioned uncertain unmentioned unmentioned", False),
    "bare": ("unmentioned unmentioned unmentioned unmentioned unmentioned unmentioned", True),
    "normal": ("unmentioned unmentioned unmentioned unmentioned unmentioned unmentioned", False),
    "resolved": ("resolved unmentioned unmentioned unmentioned unmentioned unmentioned", False),
}


@pytest.fixture
def planted(tmp_path):
    """Five films whose reports are those above, in order."""
    planted = plant_store(tmp_path, films=5, val=1, regions=3)
    with (planted.attributes / "attributes.csv").open("w", newline="") as handle:
        rows = csv.writer(handle)
        rows.writerow(["study_id", *KEYWORDS])
        rows.writerows(
            [f"study-{n:03d}", *states.split()] for n, (states, _) in enumerate(REPORTS.values())
        )
    with (planted.attributes / "findings.csv").open("w", newline="") as handle:
        rows = csv.writer(handle)
        rows.writerow("study_id section finding assertion attributes sentence start end".split())
        for n, (_, has_finding) in enumerate(REPORTS.values()):
            assertion = "present" if has_finding else "absent"
            rows.writerow([f"study-{n:03d}", "findings", "opacity", assertion, "", "x", 0, 1])
    return planted


def names_of(pairs):
    return [list(REPORTS)[int(image_id[-3:])] for image_id in pairs.image_ids]


@pytest.mark.parametrize(
    ("policy", "include_normal", "expected"),
    [
        # The paper: a finding with an attribute.
        ("closed-world", False, ["present"]),
        # A film with a finding but no attribute says nothing about attributes: never a normal one.
        ("closed-world", True, ["present", "hedged", "normal", "resolved"]),
        # This policy counts a hedge as present, so the hedged film is a pair like any other.
        ("uncertain-positive", False, ["present", "hedged"]),
        ("keyword", True, ["present", "hedged", "normal", "resolved"]),
    ],
)
def test_the_policy_says_which_films_are_pairs(planted, policy, include_normal, expected):
    targets = read_targets(planted.attributes, policy=policy)
    with RoiStore(planted.store) as store:
        pairs = make_pairs(planted.manifest, store, targets, include_normal=include_normal)
    assert names_of(pairs) == expected


@pytest.mark.parametrize(
    ("policy", "name", "targets", "mask"),
    [
        ("closed-world", "present", [1, 0, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1]),
        ("open-world", "present", [1, 0, 1, 0, 0, 0], [1, 0, 1, 0, 0, 1]),
        # What a report without a present finding hedges is not known to be absent.
        ("closed-world", "hedged", [0, 0, 0, 0, 0, 0], [0, 1, 1, 0, 1, 1]),
        ("uncertain-positive", "hedged", [1, 0, 0, 1, 0, 0], [1, 1, 1, 1, 1, 1]),
        # No finding, so none of its attributes either, although the report does not say so.
        ("open-world", "normal", [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]),
        ("closed-world", "resolved", [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]),
    ],
)
def test_targets_and_masks_follow_the_policy(planted, policy, name, targets, mask):
    read = read_targets(planted.attributes, policy=policy)
    with RoiStore(planted.store) as store:
        pairs = make_pairs(planted.manifest, store, read, include_normal=True)
    row = names_of(pairs).index(name)
    assert pairs.targets[row].tolist() == targets
    assert pairs.mask[row].tolist() == mask
    assert pairs.words[row].tolist() == [bool(t and m) for t, m in zip(targets, mask, strict=True)]


def test_rows_patients_and_boxes_belong_to_the_film(tmp_path):
    planted = plant_store(tmp_path, films=6, val=2, regions=3)
    with RoiStore(planted.store) as store:
        pairs = planted.pairs("train", store)
        stored = store.read(pairs.rows)
    assert pairs.image_ids == ("film-002", "film-003", "film-004", "film-005")
    assert pairs.patient_ids == ("patient-002", "patient-003", "patient-004", "patient-005")
    for place, film in enumerate(pairs.rows):
        box = stored.boxes[place, planted.planted[film]]
        np.testing.assert_allclose(pairs.boxes[place], [box], atol=1e-3)


def test_a_film_without_true_boxes_has_none(tmp_path):
    planted = plant_store(tmp_path, films=4, val=1, regions=3)
    boxless = replace(planted.manifest, boxes=planted.manifest.boxes.iloc[:0])
    with RoiStore(planted.store) as store:
        pairs = make_pairs(boxless, store, planted.targets(), include_normal=False)
    assert pairs.boxes == (None,) * 4


def test_a_film_that_is_not_in_the_store_is_named(tmp_path):
    planted = plant_store(tmp_path / "a", films=6, val=2, regions=3)
    smaller = plant_store(tmp_path / "b", films=4, val=2, regions=3)
    with RoiStore(smaller.store) as store, pytest.raises(DataError) as caught:
        make_pairs(planted.manifest, store, planted.targets(), include_normal=False)
    assert [problem.got for problem in caught.value.problems] == ["no film-004", "no film-005"]
    assert "detector propose" in str(caught.value)


def test_an_unfinished_store_is_refused(tmp_path):
    planted = plant_store(tmp_path, films=6, val=2, regions=3)
    with RoiStore(planted.store, writable=True) as store:
        store._arrays["status"].write(4, np.array(0))
    with RoiStore(planted.store) as store, pytest.raises(DataError, match="film-004 still to be"):
        planted.pairs("train", store)


def test_films_that_the_detector_skipped_are_left_out(tmp_path):
    planted = plant_store(tmp_path, films=6, val=2, regions=3)
    with RoiStore(planted.store, writable=True) as store:
        store.skip(3)
    with RoiStore(planted.store) as store:
        pairs = planted.pairs("train", store)
    assert pairs.image_ids == ("film-002", "film-004", "film-005")


def test_films_without_a_report_are_left_out(planted):
    with RoiStore(planted.store) as store:
        fewer = read_targets(planted.attributes)
        images = planted.manifest.images
        images.loc[images["image_id"] == "film-000", "study_id"] = "unknown"
        pairs = make_pairs(planted.manifest, store, fewer, include_normal=True)
    assert names_of(pairs) == ["hedged", "normal", "resolved"]


def test_nothing_left_is_an_error_that_says_what_to_check(planted):
    planted.manifest.images["study_id"] = ["a", "b", "c", "d", "e"]
    with RoiStore(planted.store) as store, pytest.raises(DataError, match="study_id agrees"):
        make_pairs(planted.manifest, store, planted.targets(), include_normal=True)
