"""`ReportAdapted`: the detector trained further on the new hospital's films, by their reports.

With another `source` of boxes the same method is a control or an oracle.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from detector.config import DetectorTrainConfig
from experiments.methods.inputs import ExperimentInput
from experiments.methods.method import Method, TrainedMethod
from experiments.methods.proposed import AttentionSettings, rank_on_detector
from localize.adaptation.adapt_detector import AdaptationData, Source
from localize.pipeline.stages import adapt_detector_stage


class ReportAdapted(Method):
    """The adapted detector's ROIs, ranked by its own score or by attention on them."""

    trains_detector: ClassVar[bool] = True
    reads_pairs: ClassVar[bool] = True
    kind: Literal["report_adapted"] = "report_adapted"
    source: Source = Field("words", description="where the boxes of the new films come from")
    training: DetectorTrainConfig | None = Field(
        None, description="default: the training of the preset's adaptation"
    )
    attention: AttentionSettings | None = Field(
        None, description="trains attention on the adapted detector's ROIs, which ranks them"
    )

    def train(self, inputs: ExperimentInput) -> TrainedMethod:
        """Train the detector further, then the attention if there is one."""
        detector = self.train_detector(inputs)
        return rank_on_detector(inputs, detector, self.attention, self.name)

    def train_detector(self, inputs: ExperimentInput) -> Path:
        """Folder of the adapted detector; methods with the same adaptation share it."""
        training = self.training or inputs.adaptation.training
        seeded = training.model_copy(update={"seed": inputs.training_seed})
        changed = {"source": self.source, "training": seeded}
        adaptation = inputs.adaptation.model_copy(update=changed)
        digest = hashlib.sha256(adaptation.model_dump_json().encode()).hexdigest()[:8]
        # Epochs are selected on the new hospital's labels; `none` has only the old hospital's.
        is_old_only = self.source == "none"
        data = AdaptationData(
            detector=inputs.parts.detector,
            boxed=inputs.boxed if is_old_only else inputs.boxed.split("train"),
            pairs=inputs.parts.pairs,
            rois=inputs.parts.rois,
            attributes=inputs.parts.attributes,
        )
        run = inputs.folder(f"adapted_{self.source}_{digest}") / "detector"
        return adapt_detector_stage(data, run, adaptation=adaptation, device=inputs.device)
