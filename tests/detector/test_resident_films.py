"""Films held on the device: the same pictures and boxes as those that loaders read and change."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from detector.dataset import FilmDataset, FilmKey
from detector.network.model import IMAGENET_MEAN
from detector.resident_films import ResidentFilms
from tests.detector.films import make_films


def resident(manifest, *, seed, strength=2.0, image_size=64, processes=0):
    return ResidentFilms(
        manifest,
        image_size=image_size,
        seed=seed,
        strength=strength,
        device=torch.device("cpu"),
        processes=processes,
    )


@pytest.mark.parametrize("size", [(64, 64), (96, 60), (50, 80)], ids=str)
def test_a_batch_holds_the_films_that_a_loader_gives(tmp_path, size):
    manifest = make_films(tmp_path, size=size)
    keys = [FilmKey(k % 4, 3, k) for k in range(8)]
    expected = FilmDataset(manifest, image_size=64, seed=5, strength=2.0)
    batch = resident(manifest, seed=5).batch(keys)
    for row, key in enumerate(keys):
        film = expected[key]
        height, width = film.image.shape[1:]
        found = batch.images[row, :, :height, :width]
        # Bilinear weights of OpenCV are rounded to 1/32, levels here to 1/255.
        assert (found - film.image).abs().mean() < 0.01
        np.testing.assert_allclose(
            batch.boxes[row][batch.is_box[row]].numpy(), film.boxes.numpy(), atol=1e-3
        )


def test_padding_has_the_level_that_the_network_sees_as_zero(tmp_path):
    batch = resident(make_films(tmp_path, size=(64, 32)), seed=None).batch([FilmKey(0, 0, 0)])
    padding = batch.images[0, :, 32:, :]
    assert torch.equal(padding, torch.tensor(IMAGENET_MEAN)[:, None, None].expand(-1, 32, 64))


def test_a_single_film_is_the_prepared_one(tmp_path):
    manifest = make_films(tmp_path, size=(96, 60))
    expected = FilmDataset(manifest, image_size=64, seed=None)[FilmKey(1, 0, 0)]
    found = resident(manifest, seed=None).film(1)
    torch.testing.assert_close(found.image, expected.image, atol=0.5 / 255 + 1e-6, rtol=0)
    assert torch.equal(found.boxes, expected.boxes)
    assert found.image_id == expected.image_id


def test_a_positive_film_without_a_box_is_unplaced(tmp_path):
    manifest = make_films(tmp_path, train=3, val=1)
    ids = manifest.images["image_id"]
    manifest = dataclasses.replace(
        manifest,
        boxes=manifest.boxes[manifest.boxes["image_id"] == ids[0]],
        labels=pd.DataFrame({"image_id": ids, "opacity": [1.0, 1.0, 0.0, np.nan]}),
    )
    assert resident(manifest, seed=None).is_unplaced.tolist() == [False, True, False, False]


def test_reader_processes_give_the_films_in_order(tmp_path):
    manifest = make_films(tmp_path, train=6)
    alone = resident(manifest, seed=None)
    assert torch.equal(resident(manifest, seed=None, processes=1).pixels, alone.pixels)
