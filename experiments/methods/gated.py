"""`Gated`: reports teach the detector's scores; its body and its boxes stay as they are."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from data_manifests.tables.manifest import Manifest
from detector.detector import load_detector
from detector.run.provenance import manifest_sha256
from experiments.methods.inputs import ExperimentInput
from experiments.methods.method import Method, TrainedMethod
from experiments.methods.proposed import AttentionSettings, rank_on_detector
from experiments.methods.trained_elsewhere import adapted_detector
from localize.adaptation.gate_detector import (
    GateSettings,
    cached_film_maps,
    gate_detector,
    write_gated_detector,
)
from localize.adaptation.report_teacher import targets_of
from localize.adaptation.teach_by_places import NO_BOX, box_values
from localize.pipeline.cached import cached

MAPS = "gate_maps"


class Gated(Method):
    """`localize gate` on the films with reports; its ROIs by the gate's score, or by attention.

    With `shuffled` reports or `sides` the same method is a control, with the `truth` an oracle.
    """

    kind: Literal["gate"] = "gate"
    trains_detector: ClassVar[bool] = True
    trains_gate: ClassVar[bool] = True
    reports: Literal["own", "shuffled", "sides", "truth"] = Field(
        "own",
        description="of the film, or of another; sides: of its own (with `boxes`) the sides alone; "
        "truth: its true boxes instead",
    )
    on: str | None = Field(
        None, description="source of an adapted detector (`siim unpack`); null: the detector as is"
    )
    boxes: bool = Field(False, description="words of place mean what the old hospital's boxes show")
    gate: GateSettings = GateSettings()
    attention: AttentionSettings | None = Field(
        None, description="trains attention on the gated detector's ROIs and makes a bundle of both"
    )

    def train(self, inputs: ExperimentInput) -> TrainedMethod:
        """Train the gate, then the attention if there is one."""
        detector = self.train_detector(inputs)
        return rank_on_detector(inputs, detector, self.attention, self.name)

    def train_detector(self, inputs: ExperimentInput) -> Path:
        """Folder of the gated detector; methods with the same gate share it."""
        start = inputs.parts.detector if self.on is None else adapted_detector(inputs.out, self.on)
        seed = inputs.training_seed
        training = self.gate.training.model_copy(update={"seed": seed})
        settings = self.gate.model_copy(update={"training": training})
        films = inputs.parts.pairs.split("train")
        shuffle_seed = seed if self.reports == "shuffled" else None
        boxed = inputs.boxed.split("train") if self.boxes else None
        maps = inputs.out / "_".join(filter(None, (MAPS, self.on)))
        parts = ("gated", self.on, "boxes" if self.boxes else None, self.reports)
        name = "_".join(filter(None, parts))
        return cached(
            inputs.folder(name) / "detector",
            {
                "initial_sha256": load_detector(start).sha256,
                "settings": settings.model_dump(mode="json"),
                "films": manifest_sha256(films),
                "shuffle_seed": shuffle_seed,
                **({} if boxed is None else {"boxes": manifest_sha256(boxed)}),
                **({"sides_alone": True} if self.reports == "sides" else {}),
            },
            lambda out: (
                teach_by_truth(start, films, out, settings, maps, inputs.device)
                if self.reports == "truth"
                else gate_detector(
                    start,
                    films,
                    inputs.parts.attributes,
                    out,
                    settings=settings,
                    device=inputs.device,
                    boxed=boxed,
                    maps=maps,
                    shuffle_seed=shuffle_seed,
                    sides_alone=self.reports == "sides",
                )
            ),
        )


def teach_by_truth(
    detector: Path,
    films: Manifest,
    out: Path,
    settings: GateSettings,
    maps: Path,
    device: torch.device,
) -> None:
    """The oracle: a gate taught by the true boxes of `films`; a film without one has no opacity."""
    loaded = load_detector(detector)
    found = cached_film_maps(loaded, films, maps, settings.candidates, device)
    boxes = films.boxes_by_image()
    true = [boxes.get(image_id, NO_BOX) for image_id in found.image_ids]
    values = box_values(found, true, settings.teacher.levels)
    targets = targets_of(found, np.arange(len(true)), values)
    write_gated_detector(loaded, found, targets, out, training=settings.training, device=device)
