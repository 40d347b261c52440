"""Chance has a known mean, the best available is found by trying everything."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
import torch
from experiments.methods.region_choice import (
    THRESHOLD_WORTH,
    best_available_prediction,
    best_regions,
    chance_prediction,
)

from data_manifests.boxes import iou_matrix
from data_manifests.support.errors import DataError
from data_manifests.tables.manifest import make_manifest
from detector.proposals import FilmRois, ProposalOptions, Rois
from detector.roi_store import RoiStore, StoreHeader, create_store
from experiments.core.repeats import repeated_manifest
from localize.evaluation.evaluate import evaluate

SIDE = 100
# Four corners of a film: regions that do not overlap, of which one is right.
CORNERS = [(5, 5, 45, 45), (55, 5, 95, 45), (5, 55, 45, 95), (55, 55, 95, 95)]


@pytest.fixture
def corners(tmp_path):
    """A store of four regions on each of 60 films, and the films: the first region is right."""
    ids = [f"film-{k}" for k in range(60)]
    header = StoreHeader(len(ids), 4, 2, "d" * 64, ProposalOptions(count=4))
    create_store(tmp_path / "rois", ids, header)
    rois = Rois(torch.zeros(4, 2), torch.tensor(CORNERS, dtype=torch.float32), torch.rand(4))
    with RoiStore(tmp_path / "rois", writable=True) as store:
        for row in range(len(ids)):
            store.write(row, FilmRois(rois, rois), SIDE, SIDE, (1.0, 1.0))
    images = pd.DataFrame({"image_id": ids, "patient_id": ids, "study_id": ids, "path": ids})
    images["width"] = images["height"] = SIDE
    boxes = pd.DataFrame([(i, *CORNERS[0]) for i in ids], columns=["image_id", *"abcd"])
    boxes.columns = ["image_id", "x1", "y1", "x2", "y2"]
    with RoiStore(tmp_path / "rois") as store:
        yield store, make_manifest(images, boxes)


def test_chance_finds_one_in_four(corners):
    store, films = corners
    found = chance_prediction(store, films, draws=10, seed=0)
    copies = repeated_manifest(films, 10)
    result = evaluate(found, copies, replicates=0)
    assert len(found.images) == 600
    # 600 draws of probability 1/4: four standard errors are .07.
    assert result.value("iou_at_0.5") == pytest.approx(0.25, abs=0.07)
    assert result.value("best_iou_at_0.5") == 1.0


def test_chance_is_a_function_of_its_seed(corners):
    store, films = corners
    first, again, other = (
        chance_prediction(store, films, draws=2, seed=seed).boxes for seed in (3, 3, 4)
    )
    pd.testing.assert_frame_equal(first, again)
    assert not first["score"].equals(other["score"])


def test_the_best_available_finds_every_box_that_a_region_lies_on(corners):
    store, films = corners
    found = best_available_prediction(store, films)
    result = evaluate(found, films, replicates=0)
    assert [result.value(f"iou_at_{t}") for t in ("0.25", "0.5", "0.75")] == [1, 1, 1]
    assert len(found.boxes) == 60


@pytest.mark.parametrize("seed", range(20))
def test_the_best_regions_are_those_of_trying_every_assignment(seed):
    random = np.random.default_rng(seed)
    corner = random.uniform(0, 60, (5, 2))
    regions = np.hstack([corner, corner + random.uniform(20, 40, (5, 2))])
    true = regions[:3] + random.uniform(-8, 8, (3, 4))
    overlap = iou_matrix(regions, true)

    def worth(rows):
        chosen = overlap[list(rows), range(3)]
        return (
            sum(value * (chosen >= t).sum() for t, value in THRESHOLD_WORTH) + 1e-3 * chosen.sum()
        )

    best = max(worth(rows) for rows in permutations(range(5), 3))
    xyxy, scores = best_regions(regions, true)
    rows = [int(np.flatnonzero((regions == box).all(axis=1))[0]) for box in xyxy]
    assert len(set(rows)) == 3
    found = sum(value * (scores >= t).sum() for t, value in THRESHOLD_WORTH) + 1e-3 * scores.sum()
    assert found == pytest.approx(best)


def test_no_region_or_no_true_box_is_no_choice():
    none = np.zeros((0, 4))
    some = np.array([[0.0, 0, 10, 10]])
    for regions, true in ((none, some), (some, none)):
        assert best_regions(regions, true)[0].shape == (0, 4)


def test_a_film_without_regions_is_refused(corners):
    store, films = corners
    images = films.images.assign(image_id=films.images["image_id"] + "-other")
    with pytest.raises(DataError, match="film-0-other"):
        best_available_prediction(store, make_manifest(images))
