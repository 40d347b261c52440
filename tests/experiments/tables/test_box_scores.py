"""Scores of a detector's boxes by group: against boxes whose scores are known by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from data_manifests.tables.manifest import make_manifest
from detector.dataset import FilmDataset, FilmKey
from detector.detector import Detector
from detector.proposals import MIN_SIDE_PX
from experiments.tables.box_scores import Detections, find_boxes, grouped_scores
from tests.detector.films import make_detector, make_films, tiny_config


def make_labelled(sources, opacity, boxes):
    """Films of 100 x 50 px; `boxes` maps a film's row to its box."""
    names = [f"f{k}" for k in range(len(sources))]
    images = pd.DataFrame({"image_id": names, "patient_id": names, "study_id": names})
    images = images.assign(path=images["image_id"], width=100, height=50, source=sources)
    table = pd.DataFrame(
        [(names[row], *box, "opacity", "reader") for row, box in boxes.items()],
        columns=["image_id", "x1", "y1", "x2", "y2", "label", "annotator"],
    )
    labels = pd.DataFrame({"image_id": names, "opacity": opacity})
    return make_manifest(images, table, None, labels.assign(normal=1 - labels["opacity"]))


def test_groups_are_scored_apart_in_the_pixels_of_their_films():
    sources = ["siim_covid19", "siim_covid19", "rsna_fullframe_2", "kermany_pediatric"]
    films = make_labelled(sources, [1.0, 0.0, 1.0, 1.0], {0: (10, 10, 50, 40), 2: (0, 0, 50, 25)})
    exact = Detections(np.array([[0.1, 0.2, 0.5, 0.8]]), np.array([0.9]))
    wrong = Detections(np.array([[0.6, 0.6, 0.9, 0.9]]), np.array([0.4]))
    nothing = Detections(np.zeros((0, 4)), np.zeros(0))
    scores = grouped_scores([exact, nothing, wrong, nothing], films)
    assert scores["siim"]["iou_75"] == 1
    assert scores["siim"]["ap_50"] == 1
    assert scores["siim"]["film_auc"] == 1
    assert scores["rsna"]["iou_25"] == 0
    assert scores["rsna"]["film_auc"] is None, "one kind of film alone"
    assert "iou_50" not in scores["children"], "no boxes are known there"


@pytest.fixture
def float32(monkeypatch):
    monkeypatch.setattr("experiments.tables.box_scores.has_bfloat16", lambda device: False)


def test_boxes_are_the_detectors_own_detections(tmp_path, float32):
    films = make_films(tmp_path, size=(96, 60))
    model = make_detector()
    found = find_boxes(Detector(model, tiny_config(), ""), films, torch.device("cpu"))
    dataset = FilmDataset(films, image_size=64, seed=None)
    for row, one in enumerate(found):
        image = dataset[FilmKey(row, 0, row)].image
        with torch.no_grad():
            expected = model([image])[0]
        sides = expected["boxes"][:, 2:] - expected["boxes"][:, :2]
        is_region = (sides >= MIN_SIDE_PX).all(dim=1)  # slivers at the border are no regions
        count = min(int(is_region.sum()), 20)  # later ones tie
        assert count > 0
        scores, boxes = (expected[name][is_region][:count].numpy() for name in ("scores", "boxes"))
        np.testing.assert_allclose(one.scores[:count], scores, atol=1e-4)
        frame = np.array([image.shape[2], image.shape[1]] * 2)
        np.testing.assert_allclose(one.boxes[:count] * frame, boxes, atol=1e-2)
