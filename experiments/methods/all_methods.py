"""`AnyMethod`: every kind of method that a preset file can name."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from experiments.methods.chance import Chance
from experiments.methods.gated import Gated
from experiments.methods.heat import HeatMaps
from experiments.methods.lung_prior import LungPriorBoxes
from experiments.methods.oracle import Oracle
from experiments.methods.proposed import Proposed
from experiments.methods.report_adapted import ReportAdapted
from experiments.methods.retinanet import RetinaNet
from experiments.methods.size_prior import SizePrior
from experiments.methods.trained_elsewhere import TrainedElsewhere

AnyMethod = Annotated[
    Chance
    | Gated
    | HeatMaps
    | LungPriorBoxes
    | Oracle
    | Proposed
    | ReportAdapted
    | RetinaNet
    | SizePrior
    | TrainedElsewhere,
    Field(discriminator="kind"),
]
