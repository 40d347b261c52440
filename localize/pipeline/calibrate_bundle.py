"""`calibrate_bundle`: fit the calibration of a bundle's parts on validation films."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from data_manifests.support.errors import DataError
from data_manifests.tables.manifest import Manifest
from localize.bundle.bundle import Bundle
from localize.bundle.calibration import Calibration, Floats, fit_calibration
from localize.prediction.predict_films import PredictOptions, film_results

NO_BOXES: Floats = np.zeros((0, 4))


def calibrate_bundle(bundle: Bundle, manifest: Manifest, device: torch.device) -> Calibration:
    """Predict the films of `manifest` (validation, with boxes) and fit score and probability.

    A film's label is `labels.csv` `pneumonia` where it is given, else whether it has boxes. A film
    labelled positive without boxes has unknown boxes and counts only as a film.

    Raises:
        DataError: nothing to fit on (see `fit_calibration`), a label that is not 0 or 1, or an
            unreadable film.
    """
    plain = replace(bundle, calibration=Calibration(), severity=None)
    results = film_results(plain, manifest.film_paths(), PredictOptions(max_boxes=10), device)
    ranked = [found.ranked for _, found in results if found is not None]
    boxes = manifest.boxes_by_image()
    labels: Mapping[str, float] = {}
    if "pneumonia" in manifest.labels:
        known = manifest.labels[manifest.labels["pneumonia"].astype("str") != ""]
        known = known.dropna(subset=["pneumonia"])
        odd = known[~known["pneumonia"].isin((0, 1))]
        if len(odd):
            raise DataError(
                f"labels.csv, field pneumonia: expected 0, 1 or blank, "
                f"got {odd['pneumonia'].iloc[0]!r} for {odd['image_id'].iloc[0]}"
            )
        labels = dict(zip(known["image_id"], known["pneumonia"], strict=True))
    true_boxes: list[Floats | None] = []
    has_opacity: list[bool | None] = []
    for image_id in manifest.images["image_id"]:
        found, label = boxes.get(image_id), labels.get(image_id)
        if found is not None:
            is_positive: bool | None = True
        elif labels:
            is_positive = None if label is None else bool(label)
        else:
            is_positive = False
        has_opacity.append(is_positive)
        true_boxes.append(found if found is not None or is_positive is not False else NO_BOXES)
    return fit_calibration(ranked, true_boxes, has_opacity)
