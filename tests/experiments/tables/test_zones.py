"""Zones: extents against painted pixels, correlations against scipy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr

from data_manifests.laterality import WHOLE_FILM
from data_manifests.tables.manifest import ManifestInfo, make_manifest
from experiments.data.open_films import BRIXIA_ZONES, ZONE_COLUMNS
from experiments.tables.zones import zone_extents, zone_rows
from localize.prediction.tables import BOX_COLUMNS, IMAGE_COLUMNS, Prediction

WIDTH, HEIGHT, FILMS = 200, 100, 30


@pytest.fixture(scope="module")
def prediction():
    rng = np.random.default_rng(0)
    images = pd.DataFrame({name: [None] * FILMS for name in IMAGE_COLUMNS})
    images["image_id"] = [f"film-{k}" for k in range(FILMS)]
    images["width"], images["height"] = WIDTH, HEIGHT
    rows = []
    for film in range(1, FILMS):  # the first has no box
        for _ in range(int(rng.integers(1, 4))):
            x1, y1 = rng.integers(0, 120), rng.integers(0, 60)
            x2, y2 = x1 + rng.integers(5, 80), y1 + rng.integers(5, 40)
            corners = (float(x1), float(y1), float(x2), float(y2), float(rng.random()))
            rows.append((f"film-{film}", *corners, 0.1, 0.5, "opacity", ""))
    boxes = pd.DataFrame(rows, columns=list(BOX_COLUMNS))
    return Prediction(images, boxes, pd.DataFrame({"image_id": images["image_id"]}), {})


def manifest(scores: np.ndarray):
    ids = [f"film-{k}" for k in range(FILMS)]
    images = pd.DataFrame(
        {
            "image_id": ids,
            "patient_id": [f"patient-{k // 2}" for k in range(FILMS)],
            "study_id": ids,
            "path": [f"{one}.png" for one in ids],
            "width": WIDTH,
            "height": HEIGHT,
        }
    )
    labels = pd.DataFrame({"image_id": ids, **dict(zip(ZONE_COLUMNS, scores.T, strict=True))})
    info = ManifestInfo(builder="test", image_root="", sources={})
    return make_manifest(images, None, None, labels, info=info)


def test_extents_are_those_of_painted_pixels(prediction):
    borders = (0, WHOLE_FILM.middle_starts, WHOLE_FILM.lower_starts, 1)
    rows = [round(share * HEIGHT) for share in borders]
    expected = np.zeros((FILMS, 6))
    for box in prediction.boxes.itertuples():
        painted = np.zeros((HEIGHT, WIDTH))
        painted[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)] = box.score
        film = int(box.image_id.removeprefix("film-"))
        for zone in range(6):
            side, band = divmod(zone, 3)
            part = painted[rows[band] : rows[band + 1], 100 * side : 100 * side + 100]
            expected[film, zone] += part.sum() / painted.size
    np.testing.assert_allclose(zone_extents(prediction), expected, atol=1e-12)
    assert not expected[0].any()


def test_correlations_are_those_of_scipy_and_films_without_scores_are_left_out(prediction):
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 4, (FILMS, 12)).astype(float)
    scores[:4, 7] = np.nan  # one reader has not seen these
    rows = zone_rows(prediction, manifest(scores), seed=0)
    extents = zone_extents(prediction)
    assert [row.zone for row in rows] == list(BRIXIA_ZONES)
    for k, row in enumerate(rows):
        assert (row.films, row.patients) == (26, 13)
        assert row.pearson.value == pytest.approx(pearsonr(extents[4:, k], scores[4:, k])[0])
        assert row.readers.value == pytest.approx(pearsonr(scores[4:, 6 + k], scores[4:, k])[0])
        assert row.pearson.low < row.pearson.value < row.pearson.high
