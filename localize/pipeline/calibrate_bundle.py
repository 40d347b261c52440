"""`calibrate_bundle`: fit the calibration of a bundle's parts on validation films."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import torch

from data_manifests.support.arrays import Floats
from data_manifests.support.errors import DataError
from data_manifests.tables.manifest import Manifest
from localize.bundle.bundle import Bundle
from localize.bundle.calibration import Calibration
from localize.bundle.fit_calibration import ValidationFilm, fit_calibration
from localize.inference.model import Model

NO_BOXES: Floats = np.zeros((0, 4))
MAX_BOXES = 10  # of each film, as in a prediction


def calibrate_bundle(bundle: Bundle, manifest: Manifest, device: torch.device) -> Calibration:
    """Predict the films of `manifest` (validation, with boxes) and fit score and probability.

    Raises:
        DataError: nothing to fit on (see `fit_calibration`), or see `validation_regions`.
    """
    return fit_calibration(validation_regions(bundle, manifest, device))


def validation_regions(
    bundle: Bundle,
    manifest: Manifest,
    device: torch.device,
    *,
    child_sources: Collection[str] = (),
) -> list[ValidationFilm]:
    """The regions of validation films with what is known of them.

    A film's label is `labels.csv` `pneumonia` where it is given, else whether it has boxes. A film
    labelled positive without boxes has unknown boxes and counts only as a film. Films of
    `child_sources` (column `source` of `images.csv`) are children's.

    Raises:
        DataError: a label that is not 0 or 1, or an unreadable film.
    """
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
    films = []
    regions = Model(bundle, device=device).regions(manifest.film_paths(), limit=MAX_BOXES)
    sources = manifest.images["source"]
    for image_id, source, ranked in zip(manifest.images["image_id"], sources, regions, strict=True):
        found, label = boxes.get(image_id), labels.get(image_id)
        if found is not None:
            has_opacity: bool | None = True
        elif labels:
            has_opacity = None if label is None else bool(label)
        else:
            has_opacity = False
        films.append(
            ValidationFilm(
                xyxy=ranked.xyxy,
                log_alpha=ranked.log_alpha,
                film_sum=ranked.film_sum,
                film_max=ranked.film_max,
                film_tail=ranked.film_tail,
                true_boxes=NO_BOXES if found is None and has_opacity is False else found,
                has_opacity=has_opacity,
                width=ranked.width,
                height=ranked.height,
                source=source,
                is_child=source in child_sources,
            )
        )
    return films
