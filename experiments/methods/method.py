"""`Method`: one row of a table; what it trains, and how it predicts test films."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from detector.config import Frozen
from experiments.methods.inputs import ExperimentInput, TestSet
from localize.pipeline.cached import cached
from localize.prediction.tables import Prediction, read_prediction, write_prediction


@dataclass(frozen=True)
class TrainedMethod:
    """A method after training; `bundle` is its model bundle, None for methods without one."""

    predict: Callable[[TestSet], Prediction]
    bundle: Path | None = None


class Method(Frozen, ABC):
    """One row of a table. Fields are its settings, as a preset file gives them.

    A subclass implements `train`. Methods go to other processes, so they hold settings only.
    """

    trains_detector: ClassVar[bool] = False  # further, on films of the new hospital
    trains_gate: ClassVar[bool] = False  # its scores alone
    reads_pairs: ClassVar[bool] = False  # the ROIs of the films with reports

    name: str
    repeats: int = Field(
        1, ge=1, description="trainings or random orders, each with its seed; metrics are means"
    )

    @abstractmethod
    def train(self, inputs: ExperimentInput) -> TrainedMethod:
        """Train what is not cached yet.

        Raises:
            ConfigError: cached parts were trained with other settings.
        """

    def check_installed(self) -> None:
        """Called before anything is trained.

        Raises:
            ConfigError: a package that the method needs is not installed.
        """


def method_predictions(method: Method, inputs: ExperimentInput, test: TestSet) -> list[Prediction]:
    """A method's predictions of a test set, one for each repeat; cached ones are read.

    Raises:
        ConfigError: what is cached was made with other settings.
    """
    return [_prediction(method, inputs.repeated(number), test) for number in range(method.repeats)]


def _prediction(method: Method, inputs: ExperimentInput, test: TestSet) -> Prediction:
    trained = method.train(inputs)  # also when the prediction is cached: it checks the settings
    settings = {
        **method.model_dump(mode="json", exclude={"name", "repeats"}),
        "seed": inputs.training_seed,
        "proposals": asdict(inputs.proposals),
    }
    folder = cached(
        inputs.folder(method.name) / test.folder,
        settings,
        lambda out: write_prediction(trained.predict(test), out),
    )
    return read_prediction(folder)
