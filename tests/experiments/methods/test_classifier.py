"""The classifier learns what can be seen, repeats itself, and refuses what it cannot use."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

from data_manifests.support.errors import CheckpointError, DataError
from experiments.methods.classifier import (
    ClassifierConfig,
    ClassifierSettings,
    ClassifierTrainConfig,
    build_classifier,
    film_labels,
    load_classifier,
)
from experiments.methods.train_classifier import RESULT, train_classifier
from tests.localize.models import film_manifest
from tests.localize.predictions import make_truth

CPU = torch.device("cpu")
SMALL = ClassifierConfig(backbone="resnet18", image_size=64, map_stride=16)
BOX = (8, 8, 40, 40)


def films_with_squares(folder, count, *, seed=0):
    """Every second film has a bright square, with a box around it."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    paths, boxes = [], []
    for k in range(count):
        pixels = random.integers(0, 60, (64, 64), np.uint8)
        if k % 2:
            pixels[8:40, 8:40] += 150
            boxes.append((f"{folder.name}-{k}", *BOX))
        path = folder / f"{folder.name}-{k}.png"
        Image.fromarray(pixels).save(path)
        paths.append(path)
    return film_manifest(folder, paths, boxes=boxes)


def settings(**training):
    return ClassifierSettings(
        classifier=SMALL,
        training=ClassifierTrainConfig(epochs=3, batch_size=8, lr=1e-3, **training),
    )


def train(tmp_path, name, **training):
    train_classifier(
        films_with_squares(tmp_path / f"{name}-train", 16),
        films_with_squares(tmp_path / f"{name}-val", 8, seed=1),
        tmp_path / name,
        settings=settings(**training),
        backbone_weights=None,
        device=CPU,
    )
    return tmp_path / name


@pytest.mark.slow
def test_it_learns_squares_and_the_same_seed_gives_the_same_weights(tmp_path):
    first = train(tmp_path / "x", "run")
    again = train(tmp_path / "y", "run")
    result = json.loads((first / RESULT).read_text())
    assert result["val_auc"] == max(epoch["val_auc"] for epoch in result["epochs"])
    assert result["val_auc"] > 0.9
    a, b = (load_classifier(folder, SMALL).state_dict() for folder in (first, again))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_films_of_one_kind_are_refused(tmp_path):
    films = films_with_squares(tmp_path / "films", 4)
    boxed = films.subset(films.images["image_id"].isin(set(films.boxes["image_id"])))
    val = films_with_squares(tmp_path / "val", 4)
    with pytest.raises(DataError, match="train films"):
        train_classifier(
            boxed, val, tmp_path / "out", settings=settings(), backbone_weights=None, device=CPU
        )


def test_labels_are_boxes_first_then_the_column():
    boxed = [("a", 0, 0, 9, 9)]
    assert film_labels(make_truth(["a", "b"], boxed)).tolist() == [1, 0]
    labelled = make_truth(["a", "b", "c", "d"], boxed, pneumonia=["", 0, 1, ""])
    np.testing.assert_array_equal(film_labels(labelled), [1, 0, 1, np.nan])


def test_a_label_of_two_is_refused():
    with pytest.raises(DataError, match="0, 1 or blank"):
        film_labels(make_truth(["a", "b"], pneumonia=[2, 0]))


@pytest.mark.parametrize(
    ("backbone", "stride", "cells"),
    [("resnet18", 16, 4), ("resnet18", 32, 2), ("efficientnet_lite0", 32, 2)],
)
def test_maps_have_the_stride_that_is_asked_for(backbone, stride, cells):
    config = ClassifierConfig(backbone=backbone, image_size=64, map_stride=stride)
    model = build_classifier(config)[0].eval()
    with torch.no_grad():
        assert model.maps(torch.zeros(1, 3, 64, 64)).shape[2:] == (cells, cells)


def test_another_networks_weights_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="classifier"):
        load_classifier(tmp_path, SMALL)
