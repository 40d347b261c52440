"""`adapt_detector`: fine-tune a detector for a new hospital with pseudo-labels from its reports.

After Inoue et al. 2018. Controls show what the text adds: `own` labels films by the detector's
score, `none` takes as many steps on the old boxes, `shuffled` and `sides_prior` are `places`
without the film's own words, `regions` chooses regions by the true boxes, and `truth` trains on the
true boxes themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from data_manifests.support.errors import ConfigError
from data_manifests.support.settings import load_settings
from data_manifests.tables.join import join_manifests
from data_manifests.tables.manifest import Manifest
from detector.boxed_films import BoxedFilms
from detector.config import DetectorTrainConfig, Frozen
from detector.detector import read_detector_config
from detector.roi_store import RoiStore
from detector.train import DetectorTraining
from detector.train_from_config import train_from_config
from localize.adaptation.controls import label_by_oracle, label_by_score
from localize.adaptation.label_by_places import Control, label_by_places
from localize.adaptation.pseudo_labels import Evidence, label_by_reports
from localize.adaptation.report_words import stated_share

Source = Literal[
    "places",
    "words",
    "sides",
    "finding",
    "shuffled",
    "sides_prior",
    "own",
    "none",
    "regions",
    "truth",
]
CONTROLS: dict[Source, Control] = {"shuffled": "shuffled", "sides_prior": "sides_prior"}
EVIDENCE: dict[Source, Evidence] = {"words": "words", "sides": "sides", "finding": "finding"}


class Adaptation(Frozen):
    """How a detector is fine-tuned. `source` is where the labels of the new hospital come from:
    reports (`words`, `sides`, `finding`, see `label_by_reports`; `places`, see `label_by_places`)
    or a control."""

    source: Source = "words"
    training: DetectorTrainConfig = DetectorTrainConfig(
        epochs=2, batch_size=16, lr=7e-4, lr_backbone=7e-4, ema_decay=0.99, warmup_steps=10
    )


@dataclass(frozen=True)
class AdaptationData:
    """What an adaptation learns from.

    `detector` is the run folder or bundle to start from. `boxed` are the old hospital's films with
    true boxes, trained on as well (and validated on, if there are some in the split val); None
    trains on pseudo-labels alone. `pairs` are the new hospital's films; its splits train and val
    are used. `rois` is the ROI store of `detector` on them, `attributes` their mined reports.
    """

    detector: Path
    boxed: Manifest | None
    pairs: Manifest
    rois: Path
    attributes: Path


def adapt_detector(
    data: AdaptationData, run: Path, *, adaptation: Adaptation, device: torch.device
) -> DetectorTraining:
    """Label the new hospital's films and fine-tune the detector on them into the folder `run`.

    The same as `pneumoloc localize report-boxes` and `pneumoloc detector train --initial`. A run
    that is there is resumed. True boxes of the new hospital are read by `regions` and `truth` only.

    Raises:
        DataError: tables missing or damaged, no film labelled, or no pseudo-box in a split.
        ConfigError: the run has other settings or data.
        CheckpointError: a detector or checkpoint that cannot be read.
        Interrupted: SIGINT or SIGTERM, after saving.
    """
    films = training_and_validation(data.pairs)
    with RoiStore(data.rois) as store:
        films = label_films(adaptation.source, films, store, data.attributes, boxed=data.boxed)
    if data.boxed is not None:
        films = join_manifests([training_and_validation(data.boxed), films])
    training = adaptation.training
    if adaptation.source == "none" and data.boxed is not None:  # as many steps, on the old boxes
        count = training.epoch_films or len(films.split("train").images)
        training = training.model_copy(update={"epoch_films": count})
        films = data.boxed
    return train_from_config(
        BoxedFilms.of(films),
        run,
        config=read_detector_config(data.detector),
        training=training,
        initial=data.detector,
        device=device,
    )


def training_and_validation(films: Manifest) -> Manifest:
    """The films of the splits train and val."""
    return films.subset(films.images["split"].isin(("train", "val")))


def label_films(
    source: Source, films: Manifest, store: RoiStore, mined: Path, *, boxed: Manifest | None
) -> Manifest:
    """The films that a source labels, with its boxes; `truth` and `none` leave them as they are.

    `boxed` are the old hospital's films with boxes, which `places` and `shuffled` need.

    Raises:
        ConfigError: `boxed` is missing.
        DataError: tables missing or damaged, a film that is not in the store, no film labelled.
    """
    if source in EVIDENCE:
        return label_by_reports(films, store, mined, evidence=EVIDENCE[source]).manifest
    if source == "places" or source in CONTROLS:
        if boxed is None:
            raise ConfigError(f"source {source}: expected the old hospital's boxes, got none")
        control, old = CONTROLS.get(source), boxed.split("train")
        return label_by_places(films, store, mined, boxed=old, control=control).manifest
    if source == "regions":
        return label_by_oracle(films, store)
    if source == "own":
        # As many films as the reports would call positive, so that text is all that differs.
        return label_by_score(films, store, positive_share=stated_share(films, mined))
    return films


def adaptation_settings(source: Source, overrides: Sequence[str]) -> Adaptation:
    """The default adaptation with a source and `--set` overrides, such as `training.epochs=1`.

    Raises:
        ConfigError: an unknown name or a bad value.
    """
    training = Adaptation().training
    defaults = [f"training.{name}={getattr(training, name)}" for name in training.model_fields_set]
    return load_settings(Adaptation, None, [*defaults, f"source={source}", *overrides])
