"""`adapt_detector`: a detector taught a new hospital by boxes that its reports vouch for.

Pseudo-labels after Inoue et al. 2018. Controls tell what the text gives: `own` takes the detector's
word for which films have an opacity, `none` trains as many steps on the old boxes, and `regions`
knows which regions are right: the most that any text could say by choosing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import Field

from data_manifests.boxes import iou_matrix
from data_manifests.tables.join import join_manifests
from data_manifests.tables.manifest import Manifest
from detector.config import DetectorTrainConfig, Frozen
from detector.detector import read_detector_config
from detector.roi_store import RoiStore
from detector.train import train_detector
from localize.adaptation.pseudo_labels import Evidence, report_boxes, vote_box, with_boxes
from localize.pipeline.attention import propose_films
from localize.pipeline.cached import keep_settings

Source = Literal["words", "sides", "finding", "own", "none", "regions", "truth"]
EVIDENCE: dict[Source, Evidence] = {"words": "words", "sides": "sides", "finding": "finding"}
# What `own` calls positive: the share of films with an opacity of the old hospital is not known of
# the new one, so half of the films are.
OWN_SHARE = 0.5


class Adaptation(Frozen):
    """How a detector is adapted; `rounds` choose boxes anew with the detector of the round before.

    `source`: words, sides and finding, as `report_boxes`; own, none: the controls; regions: the
    regions that lie best on the new hospital's true boxes; truth: these boxes themselves.
    """

    source: Source = "words"
    rounds: int = Field(1, ge=1)
    training: DetectorTrainConfig = DetectorTrainConfig(
        epochs=2, batch_size=16, lr=7e-4, lr_backbone=7e-4, ema_decay=0.99, warmup_steps=10
    )


def adapt_detector(
    detector: Path,
    boxed: Manifest,
    pairs: Manifest,
    rois: Path,
    mined: Path,
    place: Path,
    *,
    adaptation: Adaptation,
    seed: int,
    device: torch.device,
) -> Path:
    """The folder of the adapted detector below `place`, trained where it is not there yet.

    `boxed` (splits train and val) are the old hospital's films, `pairs` the new one's, whose true
    boxes are not looked at (but by `truth`); `rois` are the regions of `detector` on them, `mined`
    their reports' findings.

    Raises:
        ConfigError: `place` was made with another adaptation.
    """
    keep_settings(place / "adaptation.json", adaptation.model_dump(mode="json"))
    current = detector
    for number in range(1, adaptation.rounds + 1):
        run = place / f"detector_{number}"
        if not (run / "detector.safetensors").exists():
            if number > 1:
                rois = propose_films(current, pairs, place / f"rois_{number}", device)
            with RoiStore(rois) as store:
                trained = pairs.subset(pairs.images["split"].isin(("train", "val")))
                new = chosen_films(adaptation.source, trained, store, mined)
            films = join_manifests([boxed.split("train"), new.split("train")])
            val = new.split("val")
            changed: dict[str, int] = {"seed": seed}
            if adaptation.source == "none":  # as many steps
                changed["epoch_films"] = adaptation.training.epoch_films or len(films.images)
                films, val = boxed.split("train"), boxed.split("val")
            train_detector(
                films,
                val,
                run,
                config=read_detector_config(current),
                training=adaptation.training.model_copy(update=changed),
                initial=current,
                device=device,
            )
        current = run
    return current


def chosen_films(source: Source, films: Manifest, store: RoiStore, mined: Path) -> Manifest:
    """The films that a source decides, with the boxes that it chooses among the store's regions.

    `truth` leaves the films their own boxes, and so does `none`, which only counts the films.
    """
    if source in EVIDENCE:
        return report_boxes(films, store, mined, evidence=EVIDENCE[source]).manifest
    if source == "regions":
        return region_boxes(films, store)
    return own_boxes(films, store) if source == "own" else films


def region_boxes(films: Manifest, store: RoiStore) -> Manifest:
    """For each true box the region that overlaps it most: a perfect choice with a detector's edges.

    The corners are voted on as in `report_boxes`. True boxes that no region touches are lost.
    """
    ids = films.images["image_id"].tolist()
    true, batch = films.boxes_by_image(), store.read(store.rows_of(ids))
    rows = []
    for image_id, boxes, scores, mask in zip(
        ids, batch.boxes, batch.scores, batch.mask, strict=True
    ):
        regions, worth = boxes[mask].astype(np.float64), scores[mask].astype(np.float64)
        overlaps = iou_matrix(true.get(image_id, np.zeros((0, 4))), regions)
        rows += [
            (image_id, *vote_box(regions, worth, int(overlap.argmax())))
            for overlap in overlaps
            if overlap.any()
        ]
    return with_boxes(films, rows)


def own_boxes(films: Manifest, store: RoiStore) -> Manifest:
    """Self-training without text: the best region of the OWN_SHARE of films that score highest."""
    ids = films.images["image_id"].tolist()
    batch = store.read(store.rows_of(ids))
    scores = np.where(batch.mask, batch.scores, 0.0).astype(np.float64)
    top = scores.max(axis=1)
    bar = np.quantile(top, 1 - OWN_SHARE)
    rows = [
        (image_id, *vote_box(boxes.astype(np.float64), values, int(values.argmax())))
        for image_id, boxes, values in zip(ids, batch.boxes, scores, strict=True)
        if values.max() >= bar and values.max() > 0
    ]
    return with_boxes(films, rows)
