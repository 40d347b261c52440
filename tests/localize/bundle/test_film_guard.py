"""The film guard: what it flags, and files that are refused."""

from __future__ import annotations

from functools import cache
from unittest import mock

import cv2
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from sklearn.datasets import load_sample_images

from data_manifests.films.other_images import DRAWN, SCENES, SPOILT, other_images
from data_manifests.phantom.case import PhantomOptions, make_case
from data_manifests.support.errors import CheckpointError, DataError
from localize.bundle.film_guard import WARNING, guard_features, read_guard, thumbnail, write_guard
from localize.pipeline import fit_film_guard
from localize.pipeline.fit_film_guard import FALSE_FLAGS, fit_guard


@cache
def films(first, count):
    options = PhantomOptions(size=96, seed=3)
    return [
        make_case(options, index).pixels.astype(np.float32) / 255
        for index in range(first, first + count)
    ]


@pytest.fixture(scope="module")
def guard():
    return fit_guard(films(0, 90), films(90, 50))


def flagged(guard, pictures):
    return float(np.mean([guard.warning(picture) == WARNING for picture in pictures]))


def test_validation_films_are_flagged_at_the_promised_rate_at_most(guard):
    assert flagged(guard, films(90, 50)) <= FALSE_FLAGS + 1 / 50
    assert flagged(guard, films(140, 40)) <= 0.1  # films that it has not seen


@pytest.mark.parametrize("kind", [*SPOILT, *DRAWN, *SCENES])
def test_other_pictures_are_flagged(guard, kind):
    pictures = other_images(films(180, 20), each=25, rng=np.random.default_rng(7))[kind]
    # A cut-out may hold most of the lungs still.
    assert flagged(guard, pictures) >= (0.6 if kind == "cut-out" else 0.85)


def test_photographs_of_no_kind_that_was_fitted_are_flagged(guard):
    rng = np.random.default_rng(0)
    cuts = []
    for photo in load_sample_images().images:
        grey = photo.mean(axis=2).astype(np.float32) / 255
        for _ in range(10):
            top, left = rng.integers(0, 200, 2)
            cuts.append(grey[top : top + 220, left : left + 300])
    assert flagged(guard, cuts) >= 0.8


def test_features_are_those_of_a_plain_computation():
    rng = np.random.default_rng(0)
    picture = rng.random((50, 40)).astype(np.float32)
    thumb = thumbnail(picture)
    assert thumb.mean() == pytest.approx(0, abs=1e-6)
    assert thumb.std() == pytest.approx(1, abs=1e-6)
    mean, basis = rng.normal(size=1024), np.linalg.qr(rng.normal(size=(1024, 3)))[0].T
    spread = np.array([1.0, 2.0, 3.0])
    features = guard_features(picture, mean, basis, spread)
    components = [sum((thumb[i] - mean[i]) * basis[k, i] for i in range(1024)) for k in range(3)]
    rest = thumb - mean - sum(c * b for c, b in zip(components, basis, strict=True))
    np.testing.assert_allclose(features[:3], np.array(components) / spread, rtol=1e-9)
    np.testing.assert_allclose(features[3:6], (np.array(components) / spread) ** 2, rtol=1e-9)
    assert features[6] == pytest.approx(np.log(np.sqrt(np.mean(rest**2)) + 0.01), rel=1e-9)
    assert len(features) == 12


def test_exposure_does_not_matter(guard):
    film = films(200, 1)[0]
    dim = guard.logit(film * 0.5 + 0.2)
    assert dim == pytest.approx(guard.logit(film), abs=abs(guard.weights[-5]) * np.log(2) + 0.05)


def test_a_guard_survives_its_file(guard, tmp_path):
    write_guard(guard, tmp_path / "guard.safetensors")
    again = read_guard(tmp_path / "guard.safetensors")
    for film in films(200, 3):
        assert again.logit(film) == pytest.approx(guard.logit(film), rel=1e-3, abs=1e-3)


@pytest.fixture(scope="module")
def guard_of_two_kinds():
    """Every second film is the middle of one: those stand for the children's."""
    train = [middle(film) if k % 2 else film for k, film in enumerate(films(0, 90))]
    with mock.patch.multiple(fit_film_guard, COPIES=1, OTHERS_OF_A_KIND=10):
        return fit_guard(train, films(90, 10), is_child=[k % 2 == 1 for k in range(90)])


def middle(film):
    return cv2.resize(film[24:72], (96, 96), interpolation=cv2.INTER_LINEAR).astype(np.float32)


def test_a_guard_tells_children_apart_also_from_its_file(guard_of_two_kinds, guard, tmp_path):
    write_guard(guard_of_two_kinds, tmp_path / "guard.safetensors")
    again = read_guard(tmp_path / "guard.safetensors")
    new = films(140, 20)
    for one in (guard_of_two_kinds, again):
        assert np.mean([one.look(middle(film)).is_child for film in new]) > 0.8
        assert np.mean([one.look(film).is_child for film in new]) < 0.1
    assert [again.look(film).warning for film in new] == [again.warning(film) for film in new]
    assert not any(guard.look(middle(film)).is_child for film in new)  # it learned one kind


@pytest.mark.parametrize("name", ["child_weights", "child_intercept"])
def test_half_of_the_second_regression_is_refused(guard_of_two_kinds, tmp_path, name):
    path = tmp_path / "guard.safetensors"
    write_guard(guard_of_two_kinds, path)
    arrays = load_file(path)
    del arrays[name]
    save_file(arrays, path)
    with pytest.raises(CheckpointError, match="child_weights and child_intercept or neither"):
        read_guard(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda arrays: arrays.pop("spread"), "expected mean"),
        (lambda arrays: arrays.update(weights=arrays["weights"][:-1]), "weights"),
        (lambda arrays: arrays.update(threshold=np.array([np.nan], np.float32)), "threshold"),
        (lambda arrays: arrays.update(basis=arrays["basis"][:, :-1].copy()), "basis"),
    ],
    ids=["missing", "short", "not a number", "narrow"],
)
def test_damaged_files_are_refused(guard, tmp_path, change, message):
    path = tmp_path / "guard.safetensors"
    write_guard(guard, path)
    arrays = load_file(path)
    change(arrays)
    save_file(arrays, path)
    with pytest.raises(CheckpointError, match=message):
        read_guard(path)
    path.write_bytes(b"no tensors")
    with pytest.raises(CheckpointError, match="expected the film guard"):
        read_guard(path)


def test_too_few_films_are_told():
    with pytest.raises(DataError, match="at least 80 training films"):
        fit_guard(films(0, 5), films(5, 2))


def test_clouds_have_the_spectrum_of_photographs():
    clouds = SCENES["clouds"](np.random.default_rng(0))
    assert (clouds.min(), clouds.max()) == (0, 1)
    power = np.abs(np.fft.fft2(clouds - clouds.mean())) ** 2
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(len(clouds))] * 2))
    inner = (frequency > 0.02) & (frequency < 0.3)
    slope = np.polyfit(np.log(frequency[inner]), np.log(power[inner]), 1)[0]
    assert -3.6 < slope < -1.4  # amplitude falls as frequency to the .8 to 1.8
