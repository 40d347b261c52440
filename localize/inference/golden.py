"""The golden prediction: a film in a bundle, and its boxes at the time of `bundle make`.

Checksums show that the files are whole. The golden prediction shows that this machine and these
library versions compute the same from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_manifests.support.atomic import write_bytes, write_json
from data_manifests.support.errors import CheckpointError
from localize.bundle.bundle import Bundle, read_json
from localize.inference.model import Model
from localize.inference.options import PredictOptions

FILM, ANSWER = "golden.png", "golden.json"
BOXES = 3
# Convolutions of other processors and versions add up in another order. Half a pixel of 256 and a
# hundredth of a score are chosen, not measured: nobody would notice them on a film.
BOX_TOLERANCE_PX = 0.5
SCORE_TOLERANCE = 0.01


@dataclass(frozen=True)
class Golden:
    """`film` is the content of a PNG file; `boxes` (x1, y1, x2, y2, score), P(pneumonia) and the
    keywords' probabilities are its prediction."""

    film: bytes
    boxes: tuple[tuple[float, ...], ...]
    p_pneumonia: float
    attributes: tuple[float, ...]


def predict_golden(bundle: Bundle, film: Path) -> Golden:
    """Predict the golden film on the CPU."""
    found = Model(bundle, PredictOptions(max_boxes=BOXES)).predict(film)
    rows = np.column_stack([found.boxes.xyxy, found.scores])
    if found.p_pneumonia is None:  # never, by this model; the type allows it for other methods
        raise CheckpointError(f"{film}: expected P(pneumonia), got none")
    return Golden(
        film=film.read_bytes(),
        boxes=tuple(map(tuple, rows.tolist())),
        p_pneumonia=found.p_pneumonia,
        attributes=tuple(found.attributes.values()),
    )


def write_golden(golden: Golden, folder: Path) -> None:
    """Write `golden.png` and `golden.json`."""
    write_bytes(folder / FILM, golden.film)
    write_json(
        folder / ANSWER,
        {
            "boxes": [list(box) for box in golden.boxes],
            "p_pneumonia": golden.p_pneumonia,
            "attributes": list(golden.attributes),
        },
    )


def check_golden(bundle: Bundle, folder: Path) -> float:
    """Predict the bundle's golden film again; returns the largest difference of a corner, px.

    Raises:
        CheckpointError: the prediction differs from the one that is stored in the bundle.
    """
    stored = read_json(folder / ANSWER)
    golden = predict_golden(bundle, folder / FILM)
    expected = np.array([*map(tuple, stored["boxes"])], np.float64)
    got = np.array(golden.boxes, np.float64)
    if got.shape == expected.shape:
        shift = float(np.abs(got[:, :4] - expected[:, :4]).max(initial=0))
        score = float(np.abs(got[:, 4] - expected[:, 4]).max(initial=0))
        probability = abs(golden.p_pneumonia - float(stored["p_pneumonia"]))
        keywords = _largest_difference(golden.attributes, stored.get("attributes"))
        if shift <= BOX_TOLERANCE_PX and max(score, probability, keywords) <= SCORE_TOLERANCE:
            return shift
        if keywords > SCORE_TOLERANCE:
            raise CheckpointError(
                f"{folder / ANSWER}: a keyword's probability differs by {keywords:.3f}; "
                "predictions cannot be trusted here"
            )
    raise CheckpointError(
        f"{folder / ANSWER}: expected boxes {expected.round(2).tolist()} and P(pneumonia) "
        f"{float(stored['p_pneumonia']):.3f}, got {got.round(2).tolist()} and "
        f"{golden.p_pneumonia:.3f}; torch or the processor computes differently from where the "
        "bundle was made: predictions cannot be trusted here"
    )


def _largest_difference(got: tuple[float, ...], stored: list[float] | None) -> float:
    """Of the keywords' probabilities; 0 for old bundles, which do not store them."""
    if stored is None:
        return 0.0
    if len(stored) != len(got):
        return np.inf
    return float(np.abs(np.array(stored) - np.array(got)).max(initial=0))
