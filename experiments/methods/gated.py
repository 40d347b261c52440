"""`Gated`: reports teach the detector's scores; its body and its boxes stay as they are."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from detector.detector import load_detector
from detector.run.provenance import manifest_sha256
from experiments.methods.inputs import ExperimentInput
from experiments.methods.method import Method, TrainedMethod
from experiments.methods.proposed import AttentionSettings, rank_on_detector
from experiments.methods.trained_elsewhere import adapted_detector
from localize.adaptation.gate_detector import GateSettings, gate_detector
from localize.pipeline.cached import cached

MAPS = "gate_maps"


class Gated(Method):
    """`localize gate` on the films with reports; its ROIs by the gate's score, or by attention.

    With `shuffled` reports the same method is a control.
    """

    kind: Literal["gate"] = "gate"
    trains_detector: ClassVar[bool] = True
    reports: Literal["own", "shuffled"] = Field("own", description="of the film, or of another")
    on: str | None = Field(
        None, description="source of an adapted detector (`siim unpack`); null: the detector as is"
    )
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
        name = "_".join(filter(None, ("gated", self.on, self.reports)))
        return cached(
            inputs.folder(name) / "detector",
            {
                "initial_sha256": load_detector(start).sha256,
                "settings": settings.model_dump(mode="json"),
                "films": manifest_sha256(films),
                "shuffle_seed": shuffle_seed,
            },
            lambda out: gate_detector(
                start,
                films,
                inputs.parts.attributes,
                out,
                settings=settings,
                device=inputs.device,
                maps=inputs.out / "_".join(filter(None, (MAPS, self.on))),
                shuffle_seed=shuffle_seed,
            ),
        )
