"""`TrainedElsewhere`: a detector that another command adapted, ranked by its own score.

That command has predicted the test films too, on the machine that trained.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from data_manifests.support.errors import ConfigError, DataError
from experiments.methods.inputs import ExperimentInput, TestSet
from experiments.methods.method import Method, TrainedMethod
from experiments.methods.names import BASELINE
from localize.adaptation.adapt_detector import Source
from localize.prediction.tables import Prediction, read_prediction

ADAPTED, PREDICTIONS = "adapted", "predictions"


class TrainedElsewhere(Method):
    """The detector of `experiment siim train`; as `ReportAdapted`, but trained on a GPU.

    The detector as it was counts among those that reports are compared with.
    """

    kind: Literal["trained_elsewhere"] = "trained_elsewhere"
    trains_detector: ClassVar[bool] = True
    source: Source | None = Field(
        description="where the boxes of the new films come from; null: the detector as it was"
    )

    def train(self, inputs: ExperimentInput) -> TrainedMethod:
        """Finds its prediction of the test films."""
        name = self.source or BASELINE
        folder = inputs.out / ADAPTED / PREDICTIONS / name
        if not (folder / "prediction.json").exists():
            raise ConfigError(
                f"{folder}: expected the predictions of {name}, got none; run `pneumoloc "
                "experiment siim train`, then `siim unpack`"
            )
        return TrainedMethod(partial(_read, folder))


def _read(folder: Path, test: TestSet) -> Prediction:
    """The prediction of the test films.

    Raises:
        DataError: it is of other films.
    """
    prediction = read_prediction(folder)
    if list(prediction.images["image_id"]) != list(test.films.images["image_id"]):
        raise DataError(
            f"{folder}: expected the {len(test.films.images)} films of {test.name}, got others; "
            "pack and train again"
        )
    return prediction


def adapted_detector(out: Path, source: str) -> Path:
    """The folder of one source's detector in a run's output folder."""
    return out / ADAPTED / source / "detector"
