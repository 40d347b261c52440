"""`label_by_reports`: which regions become pseudo-boxes."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from data_manifests.support.errors import DataError
from detector.roi_store import RoiStore
from localize.adaptation.pseudo_boxes import ANNOTATOR, FilmRois, read_film_rois, vote_box
from localize.adaptation.pseudo_labels import label_by_reports, split_by_side
from tests.localize.models import KEYWORDS, plant_store

LEFT_GOOD, LEFT_POOR = [60.0, 10.0, 80.0, 40.0], [55.0, 50.0, 75.0, 90.0]
RIGHT_BEST = [5.0, 10.0, 30.0, 40.0]
BOXES = np.array([RIGHT_BEST, LEFT_POOR, LEFT_GOOD])
SCORES = np.array([0.9, 0.2, 0.4])


def film(boxes=BOXES, scores=SCORES, width=100, height=100):
    return FilmRois(boxes, scores, width, height)


@pytest.mark.parametrize(
    ("sides", "expected"),
    [((), [0]), (("right",), [0]), (("left",), [2]), (("left", "right"), [2, 0])],
)
def test_the_best_region_on_each_side_is_chosen(sides, expected):
    # The patient's left is the right half of the film.
    best = [part.xyxy[part.scores.argmax()].tolist() for part in split_by_side(film(), sides)]
    assert best == [BOXES[index].tolist() for index in expected]


def test_a_side_without_a_region_gives_no_candidates():
    assert split_by_side(film(BOXES[:1], SCORES[:1]), ("left", "right")) == []
    assert split_by_side(film(BOXES[:0], SCORES[:0]), ()) == []


def slow_vote(boxes, scores, chosen):
    total, weight = [0.0] * 4, 0.0
    x1, y1, x2, y2 = boxes[chosen]
    for box, score in zip(boxes, scores, strict=True):
        width = max(0.0, min(x2, box[2]) - max(x1, box[0]))
        height = max(0.0, min(y2, box[3]) - max(y1, box[1]))
        areas = (x2 - x1) * (y2 - y1) + (box[2] - box[0]) * (box[3] - box[1])
        overlap = width * height / (areas - width * height)
        if overlap >= 0.5:
            weight += score * overlap
            total = [t + score * overlap * corner for t, corner in zip(total, box, strict=True)]
    return [corner / weight for corner in total]


def test_overlapping_regions_vote_on_the_box():
    random = np.random.default_rng(0)
    corner = random.uniform(0, 20, (40, 2))
    boxes = np.hstack([corner, corner + random.uniform(20, 40, (40, 2))])
    scores = random.uniform(0, 1, 40)
    for chosen in range(40):
        voted = vote_box(film(boxes, scores), scores, chosen)
        assert voted == pytest.approx(slow_vote(boxes, scores, chosen))
    assert vote_box(film(), SCORES, 0) == pytest.approx(RIGHT_BEST)  # alone, as it is
    assert vote_box(film(), np.zeros(3), 2) == pytest.approx(LEFT_GOOD)


@pytest.mark.parametrize(("width", "height"), [(266, 301), (1023, 777), (3, 5)])
def test_a_box_at_the_films_edge_stays_on_the_film(width, height):
    # As in a store: float32 corners a rounding beyond the film.
    beyond = np.nextafter(np.float32([width, height]), np.float32(np.inf)).astype(np.float64)
    boxes = np.array([[-1e-5, 0.0, *beyond], [0.0, -1e-5, *beyond]])
    assert (beyond > (width, height)).all()
    for weights in (np.array([0.9, 0.3]), np.zeros(2)):
        x1, y1, x2, y2 = vote_box(film(boxes, weights, width, height), weights, 0)
        assert 0 <= x1 < 1e-4
        assert 0 <= y1 < 1e-4
        assert (x2, y2) == (width, height)


# study -> (keyword states of the six keywords of the planted store, assertion of its finding)
REPORTS = [
    ("stated", "present"),
    ("hedged", "uncertain"),
    ("denied", "absent"),
    ("both stated and hedged", "present uncertain"),
]


@pytest.fixture
def planted(tmp_path):
    planted = plant_store(tmp_path, films=len(REPORTS) + 1, val=1, regions=4)
    with (planted.attributes / "attributes.csv").open("w", newline="") as handle:
        rows = csv.writer(handle)
        rows.writerow(["study_id", *KEYWORDS])
        rows.writerows(
            [f"study-{n:03d}", *["unmentioned"] * len(KEYWORDS)] for n in range(len(REPORTS))
        )  # the last film has no report
    with (planted.attributes / "findings.csv").open("w", newline="") as handle:
        rows = csv.writer(handle)
        rows.writerow("study_id section finding assertion attributes sentence start end".split())
        for n, (_, assertions) in enumerate(REPORTS):
            for assertion in assertions.split():
                rows.writerow([f"study-{n:03d}", "findings", "opacity", assertion, "", "x", 0, 1])
    return planted


def test_stated_films_get_boxes_denied_ones_none_and_open_ones_are_left_out(planted):
    with RoiStore(planted.store) as store:
        found = label_by_reports(planted.manifest, store, planted.attributes)
        first = read_film_rois(store, 0)
    names = [int(image_id[-3:]) for image_id in found.manifest.images["image_id"]]
    assert names == [0, 2, 3]
    assert (found.boxed_films, found.empty_films, found.unlabelled_films) == (2, 1, 2)
    boxes = found.manifest.boxes
    assert set(boxes["annotator"]) == {ANNOTATOR}
    assert [int(image_id[-3:]) for image_id in boxes["image_id"]] == [0, 3]
    expected = vote_box(first, first.scores, int(first.scores.argmax()))
    np.testing.assert_allclose(boxes[["x1", "y1", "x2", "y2"]].iloc[0], expected)


def test_films_without_any_report_are_an_error(planted):
    silent = planted.manifest.subset(planted.manifest.images["image_id"].str.endswith("004"))
    with (
        RoiStore(planted.store) as store,
        pytest.raises(DataError, match="state or deny an opacity"),
    ):
        label_by_reports(silent, store, planted.attributes)
