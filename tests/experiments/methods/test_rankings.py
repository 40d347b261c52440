"""The detector's ROIs ranked by score, at random, by an oracle and by size."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
import torch

from data_manifests.boxes import iou_matrix
from data_manifests.support.errors import DataError
from data_manifests.tables.manifest import make_manifest
from detector.proposals import FilmRois as StoredRois
from detector.proposals import ProposalOptions, Rois
from detector.roi_store import RoiStore, StoreHeader, create_store
from experiments.core.repeats import join_repeats, repeat_films
from experiments.methods.box_prediction import box_prediction
from experiments.methods.chance import rank_at_random
from experiments.methods.film_rois import FilmRois, read_rois
from experiments.methods.oracle import THRESHOLD_VALUES, oracle_choice
from experiments.methods.size_prior import choose_exponent, rank_by_size
from localize.evaluation.evaluate import evaluate

SIDE = 100
# Four corners of a film: ROIs that do not overlap, of which one is right.
CORNERS = [(5, 5, 45, 45), (55, 5, 95, 45), (5, 55, 45, 95), (55, 55, 95, 95)]


@pytest.fixture
def corners(tmp_path):
    """Four stored ROIs on each of 60 films, and the films: the first ROI is right."""
    ids = [f"film-{k}" for k in range(60)]
    header = StoreHeader(len(ids), 4, 2, "d" * 64, ProposalOptions(count=4))
    create_store(tmp_path / "rois", ids, header)
    rois = Rois(torch.zeros(4, 2), torch.tensor(CORNERS, dtype=torch.float32), torch.rand(4))
    with RoiStore(tmp_path / "rois", writable=True) as store:
        for row in range(len(ids)):
            store.write(row, StoredRois(rois, rois), SIDE, SIDE, (1.0, 1.0))
    images = pd.DataFrame({"image_id": ids, "patient_id": ids, "study_id": ids, "path": ids})
    images["width"] = images["height"] = SIDE
    boxes = pd.DataFrame([(i, *CORNERS[0]) for i in ids], columns=["image_id", *"abcd"])
    boxes.columns = ["image_id", "x1", "y1", "x2", "y2"]
    films = make_manifest(images, boxes)
    with RoiStore(tmp_path / "rois") as store:
        return read_rois(store, films), films


def test_chance_finds_one_in_four(corners):
    rois, films = corners
    orders = [rank_at_random(rois, seed=0, repeat=repeat) for repeat in range(10)]
    joined = join_repeats([box_prediction(order, "chance", {}) for order in orders])
    result = evaluate(joined, repeat_films(films, 10), replicates=0)
    assert len(joined.images) == 600
    # 600 draws of probability 1/4: four standard errors are .07.
    assert result.value("iou_at_0.5") == pytest.approx(0.25, abs=0.07)
    assert result.value("best_iou_at_0.5") == 1.0


def test_chance_is_a_function_of_seed_and_repeat(corners):
    rois, _ = corners
    first, again, other, next_seed = (
        [film.scores.tolist() for film in rank_at_random(rois, seed=seed, repeat=repeat)]
        for seed, repeat in ((3, 0), (3, 0), (3, 1), (4, 0))
    )
    assert first == again
    assert first != other
    assert first != next_seed


def test_the_oracle_finds_every_box_that_an_roi_overlaps(corners):
    rois, films = corners
    true = films.boxes_by_image()
    found = [oracle_choice(film, true[film.image_id]) for film in rois]
    result = evaluate(box_prediction(found, "oracle", {}), films, replicates=0)
    assert [result.value(f"iou_at_{t}") for t in ("0.25", "0.5", "0.75")] == [1, 1, 1]
    assert sum(len(film) for film in found) == 60


@pytest.mark.parametrize("seed", range(20))
def test_the_oracle_chooses_as_well_as_trying_every_assignment(seed):
    random = np.random.default_rng(seed)
    corner = random.integers(0, 60, (5, 2)).astype(float)
    regions = np.hstack([corner, corner + random.integers(20, 40, (5, 2))])
    true = regions[:3] + random.uniform(-8, 8, (3, 4))
    overlap = iou_matrix(regions, true)

    def points(rows):
        chosen = overlap[list(rows), range(3)]
        return (
            sum(value * (chosen >= t).sum() for t, value in THRESHOLD_VALUES) + 1e-3 * chosen.sum()
        )

    best = max(points(rows) for rows in permutations(range(5), 3))
    found = oracle_choice(FilmRois("a", SIDE, SIDE, regions, np.ones(5)), true)
    rows = [int(np.flatnonzero((regions == box).all(axis=1))[0]) for box in found.boxes.xyxy]
    assert len(set(rows)) == 3
    total = sum(value * (found.scores >= t).sum() for t, value in THRESHOLD_VALUES)
    assert total + 1e-3 * found.scores.sum() == pytest.approx(best)


def test_no_roi_or_no_true_box_is_no_choice():
    none, some = np.zeros((0, 4)), np.array([[0.0, 0, 10, 10]])
    for regions, true in ((none, some), (some, none)):
        film = FilmRois("a", SIDE, SIDE, regions, np.ones(len(regions)))
        assert len(oracle_choice(film, true)) == 0


def test_films_that_are_not_in_the_store_are_refused(corners, tmp_path):
    _, films = corners
    images = films.images.assign(image_id=films.images["image_id"] + "-other")
    with RoiStore(tmp_path / "rois") as store, pytest.raises(DataError, match="film-0-other"):
        read_rois(store, make_manifest(images))


def test_the_size_prior_multiplies_the_odds_by_a_power_of_the_area():
    regions = np.array([[0.0, 0, 20, 20], [40, 40, 90, 90]])  # shares .04 and .25
    film = FilmRois("a", SIDE, SIDE, regions, np.array([0.5, 0.4]))
    assert rank_by_size(film, exponent=0.0).scores == pytest.approx([0.5, 0.4])
    odds = np.array([0.4 / 0.6 * 0.25, 1.0 * 0.04])  # c = 1: the large ROI comes first
    ranked = rank_by_size(film, exponent=1.0)
    assert ranked.scores == pytest.approx(odds / (1 + odds))
    assert ranked.boxes.xyxy[0].tolist() == [40, 40, 90, 90]
    assert ranked.p_pneumonia == 0.5


def test_the_size_prior_chooses_the_exponent_that_finds_the_true_boxes():
    regions = np.array([[0.0, 0, 20, 20], [40, 40, 90, 90]])
    rois = [FilmRois(f"f{k}", SIDE, SIDE, regions, np.array([0.5, 0.4])) for k in range(4)]
    images = pd.DataFrame({name: [f"f{k}" for k in range(4)] for name in ("image_id", "path")})
    images["patient_id"] = images["study_id"] = images["image_id"]
    images["width"] = images["height"] = SIDE
    for box, expected in ((regions[1], lambda c: c > 0), (regions[0], lambda c: c == 0)):
        boxes = pd.DataFrame(
            [(f"f{k}", *box) for k in range(4)], columns=["image_id", "x1", "y1", "x2", "y2"]
        )
        assert expected(choose_exponent(rois, make_manifest(images, boxes)))
