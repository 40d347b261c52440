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
from data_manifests.support.errors import CheckpointError, ConfigError, DataError, Problem
from data_manifests.support.settings import load_settings
from data_manifests.tables.manifest import Manifest
from detector.config import Frozen
from detector.detector import Detector, load_detector
from detector.film_maps import FilmMaps, read_film_maps, write_film_maps
from detector.run.provenance import manifest_sha256
from detector.run.run_state import write_network
from localize.adaptation.label_by_places import read_report_places
from localize.adaptation.opacity_words import read_film_words
from localize.adaptation.report_teacher import Teacher, shuffle_reports, teach_by_reports
from localize.adaptation.teach_by_places import teach_by_places
from localize.network.gate import Gate
from localize.training.train_gate import GateTargets, GateTraining, train_gate

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
    boxed: Manifest | None = None,
    maps: Path | None = None,
    shuffle_seed: int | None = None,
    sides_alone: bool = False,
) -> GatedDetector:
    """Teach a gate on `films` with mined reports; write the gated detector to `out`.

    With `boxed` the words of place and size mean what that hospital's boxes show
    (`teach_by_places`; of `settings.teacher` only `levels` count). Without, it is learned from the
    detector's own ROIs and the new reports (`teach_by_reports`).

    Args:
        detector: run folder or bundle.
        films: training films only, since all of them teach.
        mined: their reports, as `attributes mine` leaves them.
        out: run folder of the gated detector.
        settings: of the teacher and the training.
        device: where networks run.
        boxed: films with boxes of the hospital that the detector comes from.
        maps: folder of the frozen maps, `out/film_maps` by default. Maps of this detector and these
            films that lie there are used again.
        shuffle_seed: a control: films with an opacity get the words of each other's reports.
        sides_alone: a control, with `boxed`: of a report's places only the sides are read.

    Raises:
        ConfigError: `sides_alone` without `boxed`.
        DataError: tables missing or damaged, a film that cannot be read, no report with an opacity.
        CheckpointError: no trained detector.
    """
    if sides_alone and boxed is None:
        raise ConfigError("sides_alone: expected films with boxes in `boxed`, got None; give both")
    loaded = load_detector(detector)
    reports = read_film_words(films, mined, read_pneumonia_like(mined))
    if shuffle_seed is not None:
        reports = shuffle_reports(reports, shuffle_seed)
    stated = sum(one.has_opacity is True for one in reports)
    empty = sum(one.has_opacity is False for one in reports)
    if not stated:
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
    found = cached_film_maps(loaded, films, maps or out / MAPS, settings.candidates, device)
    if boxed is None:
        targets = teach_by_reports(
            found,
            reports,
            read_targets(mined, policy="closed-world").keywords,
            np.asarray(found.logits),
            teacher=settings.teacher,
            priors=None,
            device=device,
        )
    else:
        places = read_report_places(
            films, mined, boxed=boxed, shuffle_seed=shuffle_seed, sides_alone=sides_alone
        )
        targets = teach_by_places(found, places, settings.teacher.levels)
    write_gated_detector(loaded, found, targets, out, training=settings.training, device=device)
    content = {
        "initial_sha256": loaded.sha256,
        "settings": settings.model_dump(mode="json"),
        "shuffle_seed": shuffle_seed,
        "sides_alone": sides_alone,
        "boxes_sha256": None if boxed is None else manifest_sha256(boxed),
        "boxed_films": stated,
        "empty_films": empty,
    }
    (out / SETTINGS).write_text(json.dumps(content, indent=2) + "\n", "utf-8")
    return GatedDetector(out, stated, empty, len(reports) - stated - empty)


def write_gated_detector(
    detector: Detector,
    films: FilmMaps,
    targets: GateTargets,
    out: Path,
    *,
    training: GateTraining,
    device: torch.device,
) -> None:
    """Train a gate on `targets` and write `detector` with it as its classification tower."""
    model = detector.model
    gate = train_gate(Gate.of_detector(model), films.held(device), targets, training, device)
    model.head.classification_head.load_state_dict(gate.head.state_dict())
    write_network(model, out / "detector", detector.config.model_dump(mode="json"))


def cached_film_maps(
    detector: Detector, films: Manifest, folder: Path, candidates: int, device: torch.device
) -> FilmMaps:
    """The maps in `folder` where they are those of these films; else they are made there."""
    try:
        kept = read_film_maps(folder)
    except CheckpointError:  # none, or only a part: the header is written last
        kept = None
    if (
        kept is not None
        and kept.detector_sha256 == detector.sha256
        and kept.image_ids == tuple(films.images["image_id"])
        and kept.anchors.shape[1] == candidates
    ):
        return kept
    return write_film_maps(detector, films, folder, device=device, candidates=candidates)
