"""CAM against a slow loop, Grad-CAM against CAM, the frame of the heat."""

from __future__ import annotations

import sys

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from data_manifests.support.errors import ConfigError
from experiments.methods.classifier import ClassifierConfig, build_classifier, square_films
from experiments.methods.heat import HeatMaps
from experiments.methods.heat_maps import (
    cam_heats,
    class_activation_maps,
    film_heats,
    gradcam_heats,
    scaled_heat,
)
from tests.localize.models import film_manifest

CPU = torch.device("cpu")
SMALL = ClassifierConfig(backbone="resnet18", image_size=64, map_stride=16)


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    return build_classifier(SMALL)[0].eval()


def random_films(count, side=64):
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def test_cam_equals_a_slow_loop():
    maps = torch.rand(2, 5, 3, 4, generator=torch.Generator().manual_seed(0)) - 0.5
    weights = torch.tensor([0.3, -1.0, 2.0, 0.0, 0.7])
    found = class_activation_maps(maps, weights)
    for film in range(2):
        for y in range(3):
            for x in range(4):
                slow = sum(float(weights[k] * maps[film, k, y, x]) for k in range(5))
                assert float(found[film, y, x]) == pytest.approx(slow, abs=1e-6)


def test_the_mean_of_cam_and_the_bias_are_the_logit(classifier):
    films = random_films(3)
    with torch.no_grad():
        maps = class_activation_maps(classifier.maps(films), classifier.head.weight[0])
        logits = classifier(films)[:, 0]
    assert torch.allclose(maps.mean(dim=(1, 2)) + classifier.head.bias, logits, atol=1e-5)


def test_gradcam_of_average_pooling_is_cam_without_its_negative_part(classifier):
    pytest.importorskip("pytorch_grad_cam")
    films = random_films(3)
    with torch.no_grad():
        cam = class_activation_maps(classifier.maps(films), classifier.head.weight[0]).numpy()
    found = gradcam_heats(classifier, films)
    assert found.shape == (3, 64, 64)
    for heat, low in zip(found, cam, strict=True):
        # The library stretches before and after it resizes.
        resized = cv2.resize(scaled_heat(np.maximum(low, 0)), (64, 64))
        np.testing.assert_allclose(heat, scaled_heat(resized), atol=1e-3)


def test_without_the_package_gradcam_says_how_to_get_it(classifier, monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_grad_cam", None)
    with pytest.raises(ConfigError, match=r"pneumoloc\[cam\]"):
        gradcam_heats(classifier, random_films(1))
    # Before anything is trained.
    HeatMaps(name="cam").check_installed()
    with pytest.raises(ConfigError, match=r"pneumoloc\[cam\]"):
        HeatMaps(name="gradcam", heat="gradcam").check_installed()


def test_scaled_heat_fills_zero_to_one_and_a_flat_map_is_cold():
    assert scaled_heat(np.array([[1, 3], [2, 5]], np.float32)).tolist() == [[0, 0.5], [0.25, 1]]
    assert not scaled_heat(np.full((2, 2), 7, np.float32)).any()


def test_films_are_padded_right_and_below():
    film = torch.ones(3, 4, 2)
    square = square_films([film], 6)[0]
    assert square[:, :4, :2].min() == 1
    assert float(square.sum()) == film.sum()


@pytest.fixture
def two_films(tmp_path):
    """A wide film and a tall one."""
    paths = []
    random = np.random.default_rng(0)
    for name, (height, width) in (("wide", (40, 80)), ("tall", (90, 60))):
        path = tmp_path / f"{name}.png"
        Image.fromarray(random.integers(0, 255, (height, width), np.uint8)).save(path)
        paths.append(path)
    return film_manifest(tmp_path, paths)


def test_heat_covers_the_film_and_not_its_padding(classifier, two_films):
    found = list(film_heats(classifier, two_films, "cam", image_size=64, batch_size=8, device=CPU))
    wide, tall = found
    assert (wide.heat.shape, tall.heat.shape) == ((32, 64), (64, 43))
    assert (wide.width, wide.height) == (80, 40)
    assert (wide.scale_x, wide.scale_y) == (0.8, 0.8)
    for film in found:
        assert (film.heat.min(), film.heat.max()) == (0, 1)
        assert 0 < film.probability < 1


def test_batches_do_not_change_the_heat(classifier, two_films):
    one, both = (
        list(film_heats(classifier, two_films, "cam", image_size=64, batch_size=b, device=CPU))
        for b in (1, 2)
    )
    for a, b in zip(one, both, strict=True):
        assert a.image_id == b.image_id
        np.testing.assert_allclose(a.heat, b.heat, atol=1e-4)


def test_cam_heats_are_bilinear_in_the_films_frame(classifier):
    heats = cam_heats(classifier, random_films(1))
    with torch.no_grad():
        low = class_activation_maps(classifier.maps(random_films(1)), classifier.head.weight[0])
    assert heats.shape == (1, 64, 64)
    assert heats[0, 0, 0] == pytest.approx(float(low[0, 0, 0]), abs=1e-5)
    assert low.min() - 1e-5 <= heats.min() <= heats.max() <= low.max() + 1e-5
