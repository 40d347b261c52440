"""Small predictions and manifests for the tests of everything after prediction."""

from __future__ import annotations

import numpy as np
import pandas as pd

from data_manifests.tables.manifest import Manifest, make_manifest
from localize.prediction.tables import BOX_COLUMNS, IMAGE_COLUMNS, Prediction

SIDE = 512


def make_prediction(
    image_ids, boxes=(), *, p_pneumonia=None, attributes=None, status=None, severity=None
) -> Prediction:
    """`boxes`: rows of (image_id, x1, y1, x2, y2, score); `attributes`: keyword -> values."""
    count = len(image_ids)
    images = pd.DataFrame(
        {
            "image_id": list(image_ids),
            "path": [f"{image_id}.png" for image_id in image_ids],
            "width": float(SIDE),
            "height": float(SIDE),
            "p_pneumonia": [np.nan] * count if p_pneumonia is None else p_pneumonia,
            "severity": [np.nan] * count if severity is None else severity,
            "opacity": "",
            "warning": "",
            "status": ["ok"] * count if status is None else status,
            "error": "",
        }
    )[list(IMAGE_COLUMNS)]
    rows = [
        (*row, 0.1, row[5], "pneumonia", "")
        for row in sorted(boxes, key=lambda row: (list(image_ids).index(row[0]), -row[5]))
    ]
    table = pd.DataFrame(rows, columns=list(BOX_COLUMNS))
    return Prediction(
        images=images,
        boxes=table.astype(dict.fromkeys(BOX_COLUMNS[1:8], "float64")),
        attributes=pd.DataFrame({"image_id": list(image_ids), **(attributes or {})}),
        info={"model": "test-model"},
    )


def make_truth(image_ids, boxes=(), *, patients=None, pneumonia=None) -> Manifest:
    """`boxes`: rows of (image_id, x1, y1, x2, y2)."""
    images = pd.DataFrame(
        {
            "image_id": list(image_ids),
            "patient_id": [f"p-{i}" for i in image_ids] if patients is None else patients,
            "study_id": [f"s-{i}" for i in image_ids],
            "path": [f"{i}.png" for i in image_ids],
            "width": SIDE,
            "height": SIDE,
        }
    )
    table = pd.DataFrame(
        [(*row, "pneumonia", "reader") for row in boxes],
        columns=["image_id", "x1", "y1", "x2", "y2", "label", "annotator"],
    )
    labels = (
        None
        if pneumonia is None
        else pd.DataFrame({"image_id": list(image_ids), "pneumonia": pneumonia})
    )
    return make_manifest(images, table, labels=labels)


def random_pair(seed, films=40, keywords=("left", "right")) -> tuple[Prediction, Manifest]:
    """A prediction that is right more often than not, and its truth; two films a patient."""
    random = np.random.default_rng(seed)
    ids = [f"film-{n}" for n in range(films)]
    sick = random.random(films) < 0.5
    true, pred = [], []
    for image_id, is_sick in zip(ids, sick, strict=True):
        if is_sick:
            x, y = random.integers(0, 200, 2)
            true.append((image_id, x, y, x + 150, y + 200))
            dx, dy = random.integers(-30, 31, 2)
            box = np.clip([x + dx, y + dy, x + 150, y + 200], 0, SIDE)
            pred.append((image_id, *box, 0.4 + 0.5 * random.random()))
        x, y = random.integers(0, 300, 2)
        pred.append((image_id, x, y, x + 100, y + 100, 0.6 * random.random()))
    p = np.clip(0.3 + 0.3 * sick + 0.3 * random.random(films), 0, 1)
    prediction = make_prediction(
        ids,
        pred,
        p_pneumonia=p,
        attributes={name: random.random(films) for name in keywords},
    )
    patients = [f"patient-{n // 2}" for n in range(films)]
    return prediction, make_truth(ids, true, patients=patients, pneumonia=sick.astype(int))
