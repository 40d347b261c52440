"""`gate_detector`: teach a detector's scores by reports; its body and its boxes stay as they are.

A gate (`localize.network.gate`) learns on the frozen maps what the reports point to. It then takes
the place of the classification tower, so the result is a detector that every command takes: its
ROIs, features and scores are the gate's, its boxes those of the detector.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import Field

from attributes.targets.training_targets import read_pneumonia_like, read_targets
from data_manifests.support.errors import DataError, Problem
from data_manifests.support.settings import load_settings
from data_manifests.tables.manifest import Manifest
from detector.config import Frozen
from detector.detector import load_detector
from detector.film_maps import write_film_maps
from detector.run.run_state import write_network
from localize.adaptation.opacity_words import read_film_words
from localize.adaptation.report_teacher import Teacher, teach_by_reports
from localize.network.gate import Gate
from localize.training.train_gate import GateTraining, train_gate

MAPS = "film_maps"
SETTINGS = "gate.json"


class GateSettings(Frozen):
    """The teacher and the training of a gate."""

    teacher: Teacher = Teacher()
    training: GateTraining = GateTraining(epochs=4, batch_size=64, lr=6e-4)
    candidates: int = Field(256, ge=1, description="ROIs of a film that are taught")


@dataclass(frozen=True)
class GatedDetector:
    """A finished training: its run folder, and how many films taught what."""

    folder: Path
    boxed_films: int
    empty_films: int
    unlabelled_films: int


def gate_settings(overrides: list[str]) -> GateSettings:
    """The default settings with `--set` overrides.

    Raises:
        ConfigError: an unknown name or a bad value.
    """
    return load_settings(GateSettings, None, overrides)


def gate_detector(
    detector: Path,
    films: Manifest,
    mined: Path,
    out: Path,
    *,
    settings: GateSettings,
    device: torch.device,
) -> GatedDetector:
    """Teach a gate on `films` with mined reports; write the gated detector to `out`.

    `films` should be training films only: all of them teach. Their maps lie in `out/film_maps`.

    Raises:
        DataError: tables missing or damaged, a film that cannot be read, no report with an opacity.
        CheckpointError: no trained detector.
    """
    loaded = load_detector(detector)
    reports = read_film_words(films, mined, read_pneumonia_like(mined))
    boxed = sum(one.has_opacity is True for one in reports)
    empty = sum(one.has_opacity is False for one in reports)
    if not boxed:
        raise DataError.from_problems(
            [
                Problem(
                    file=str(mined),
                    expected="reports that state an opacity",
                    got=f"none for {len(reports)} films",
                    fix="check that study_id agrees between images.csv and the mined reports",
                )
            ]
        )
    keywords = read_targets(mined, policy="closed-world").keywords
    maps = write_film_maps(
        loaded, films, out / MAPS, device=device, candidates=settings.candidates
    ).held(device)
    targets = teach_by_reports(
        maps,
        reports,
        keywords,
        np.asarray(maps.logits),
        teacher=settings.teacher,
        priors=None,
        device=device,
    )
    gate = train_gate(Gate.of_detector(loaded.model), maps, targets, settings.training, device)
    model = loaded.model
    model.head.classification_head.load_state_dict(gate.head.state_dict())
    write_network(model, out / "detector", loaded.config.model_dump(mode="json"))
    content = {
        "initial_sha256": loaded.sha256,
        "settings": settings.model_dump(mode="json"),
        "boxed_films": boxed,
        "empty_films": empty,
    }
    (out / SETTINGS).write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    return GatedDetector(out, boxed, empty, len(reports) - boxed - empty)
