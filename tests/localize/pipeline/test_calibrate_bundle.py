"""`calibrate_bundle`: which films and boxes the calibration learns from."""

from __future__ import annotations

import numpy as np
import pytest

from data_manifests.support.errors import DataError
from localize.bundle.bundle import load_bundle
from localize.bundle.calibration import Calibration
from localize.pipeline import calibrate_bundle as calibrate_module
from localize.pipeline.calibrate_bundle import calibrate_bundle
from tests.localize.models import CPU, film_manifest, write_films, write_tiny_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return load_bundle(write_tiny_bundle(tmp_path_factory.mktemp("bundle")))


@pytest.fixture
def asked(monkeypatch):
    """The films that each call would fit on."""
    calls = []

    def fit(films):
        calls.append(films)
        return Calibration(films=len(films))

    monkeypatch.setattr(calibrate_module, "fit_calibration", fit)
    return calls


def calibrate(bundle, folder, labels=None):
    paths = write_films(folder, [(96, 96), (60, 96), (96, 60)])
    manifest = film_manifest(folder, paths, boxes=[("film0", 5, 5, 50, 50)], labels=labels)
    return calibrate_bundle(bundle, manifest, CPU)


@pytest.mark.parametrize(
    ("labels", "has_opacity", "boxes"),
    [
        # No labels: a film without boxes has no opacity.
        (None, [True, False, False], [1, 0, 0]),
        # Positive without boxes: where they are is not known.
        ({"pneumonia": [1, 1, 0]}, [True, True, False], [1, None, 0]),
        # A blank label: nothing is known. A box counts more than the label.
        ({"pneumonia": [0, np.nan, 0]}, [True, None, False], [1, None, 0]),
        # Other labels say nothing about opacity.
        ({"severity": [3.0, 2.0, 1.0]}, [True, False, False], [1, 0, 0]),
    ],
)
def test_labels_and_boxes_say_what_is_known(bundle, tmp_path, asked, labels, has_opacity, boxes):
    calibrate(bundle, tmp_path, labels)
    films = asked[0]
    assert [film.has_opacity for film in films] == has_opacity
    true_boxes = [film.true_boxes for film in films]
    assert [None if found is None else len(found) for found in true_boxes] == boxes


def test_films_are_ranked_by_the_uncalibrated_model(bundle, tmp_path, asked):
    calibrate(bundle, tmp_path)
    film = asked[0][0]
    assert 1 < len(film.xyxy) <= 10
    assert (np.diff(film.log_alpha) <= 0).all()
    assert bundle.calibration.films == 5  # the bundle's own stays as it is


@pytest.mark.parametrize("labels", [[1, 0.3, 0], ["yes", "no", "no"], [2, 1, 0]])
def test_labels_other_than_0_and_1_are_refused(bundle, tmp_path, labels):
    with pytest.raises(DataError, match="field pneumonia: expected 0, 1 or blank"):
        calibrate(bundle, tmp_path, {"pneumonia": labels})


def test_an_unreadable_film_stops_the_calibration(bundle, tmp_path):
    paths = write_films(tmp_path, [(96, 96), (96, 96)])
    manifest = film_manifest(tmp_path, paths)
    paths[1].write_bytes(paths[1].read_bytes()[:300])
    with pytest.raises(DataError, match="film1"):
        calibrate_bundle(bundle, manifest, CPU)
