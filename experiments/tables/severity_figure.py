"""True severity against the out-of-fold score (the paper's figure 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_manifests.tables.manifest import Manifest
from experiments.core.drawing import COLOURS, figure_at
from localize.prediction.tables import Prediction
from localize.severity.fit import out_of_fold
from localize.severity.scored_films import scored_films

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SeverityPoints:
    """True and `predicted` scores (S,) of the films with one target, expert or planted."""

    name: str
    image_ids: tuple[str, ...]
    truth: Floats
    predicted: Floats


def severity_points(
    prediction: Prediction, manifest: Manifest, column: str, name: str
) -> SeverityPoints:
    """Every scored film with its out-of-fold score.

    Raises:
        DataError: see `scored_films`.
    """
    scored = scored_films(prediction, manifest, column)
    return SeverityPoints(
        name,
        tuple(film.image_id for film in scored.films),
        scored.truth,
        out_of_fold(scored.features(), scored.truth, scored.patients),
    )


def draw_severity(points: Sequence[SeverityPoints], path: Path) -> None:
    """Write a PNG with a panel for each target: points, the line of agreement, r."""
    with figure_at(path, 3.2 * len(points), 3.2) as figure:
        panels = figure.subplots(1, len(points), squeeze=False)[0]
        for panel, one in zip(panels, points, strict=True):
            top = float(max(one.truth.max(), one.predicted.max(), 1.0))
            panel.plot([0, top], [0, top], color="#888888", lw=0.8)
            panel.scatter(one.truth, one.predicted, s=12, alpha=0.6, lw=0, color=COLOURS[0])
            if np.ptp(one.truth) and np.ptp(one.predicted):
                r = np.corrcoef(one.truth, one.predicted)[0, 1]
                panel.text(
                    0.03,
                    0.95,
                    f"r = {r:.2f}, n = {len(one.truth)}",
                    transform=panel.transAxes,
                    va="top",
                )
            panel.set_xlabel(one.name)
            panel.set_ylabel("from the film, out of fold")
            panel.set_aspect("equal")
