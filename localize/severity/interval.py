"""`SeverityRange`: the 90 % interval of a severity score, as a prediction carries it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from localize.prediction.tables import Prediction

INFO_KEY = "severity"  # of prediction.json: low, high and residual of the bundle's severity model


@dataclass(frozen=True)
class SeverityRange:
    """Scores lie in [`low`, `high`]; `residual` is the half width of their 90 % interval."""

    low: float
    high: float
    residual: float

    def interval(self, severity: float) -> tuple[float, float]:
        """The interval of one score, within the possible scores."""
        return (
            max(severity - self.residual, self.low),
            min(severity + self.residual, self.high),
        )


def severity_range(prediction: Prediction) -> SeverityRange | None:
    """What `prediction.json` says about its severity scores; None where it says nothing usable."""
    stated = prediction.info.get(INFO_KEY)
    if not isinstance(stated, dict):
        return None
    values = [
        float(value)
        for value in (stated.get(name) for name in ("low", "high", "residual"))
        if isinstance(value, int | float) and math.isfinite(value)
    ]
    return SeverityRange(*values) if len(values) == 3 else None
