"""Predictions whose severity is a known rule of their features."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from localize.severity.model import FEATURES
from localize.severity.scored_films import feature_table
from tests.localize.predictions import SIDE, make_prediction, make_truth

HALF = SIDE / 2


def planted_films(films=80, *, seed=0, noise=0.0):
    """Scores that are a linear rule of the features; two films a patient."""
    random = np.random.default_rng(seed)
    ids = [f"film-{n}" for n in range(films)]
    boxes = []
    for image_id in ids:
        for x in (0, HALF):
            width, height = random.uniform(50, HALF, 2)
            boxes.append((image_id, x, 0, x + width, height, random.uniform(0.1, 1)))
    attributes = {name: random.random(films) for name in ("mild", "severe", "diffuse")}
    prediction = make_prediction(
        ids, boxes, p_pneumonia=random.random(films), attributes=attributes
    )
    features = pd.DataFrame(feature_table(prediction), columns=list(FEATURES))
    left, right = features["root_extent_left_half"], features["root_extent_right_half"]
    score = 1 + 6 * left + 4 * right - 2 * features["p_pneumonia"]
    score += noise * random.standard_normal(films)
    truth = make_truth(ids, patients=[f"p-{n // 2}" for n in range(films)])
    labels = pd.DataFrame({"image_id": ids, "severity": score.to_numpy()})
    return prediction, replace(truth, labels=labels)
