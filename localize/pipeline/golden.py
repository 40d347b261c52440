"""A golden prediction: one film kept in a bundle with what the bundle said of it when it was made.

Checksums say that the files are whole; this says that this machine and these library versions make
of them what their maker saw.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from data_manifests.phantom.case import PhantomOptions, make_case
from data_manifests.support.atomic import write_bytes, write_json
from data_manifests.support.errors import CheckpointError
from localize.bundle.bundle import Bundle, read_json
from localize.prediction.predict_films import FilmToPredict, PredictOptions, predict_films

FILM, ANSWER = "golden.png", "golden.json"
FILM_OPTIONS = PhantomOptions(size=256, seed=0, prevalence=1.0)  # case 0: a phantom, no patient
BOXES = 3
# Convolutions of other processors and versions add up in another order. Half a pixel of 256 and a
# hundredth of a score are chosen, not measured: nobody would notice them on a film.
BOX_TOLERANCE_PX = 0.5
SCORE_TOLERANCE = 0.01


@dataclass(frozen=True)
class Golden:
    """`film` is a PNG file's bytes; `boxes` (x1, y1, x2, y2, score), P(pneumonia) and the
    probabilities of the keywords its answer."""

    film: bytes
    boxes: tuple[tuple[float, ...], ...]
    p_pneumonia: float
    attributes: tuple[float, ...]


def make_golden(bundle: Bundle, folder: Path) -> Golden:
    """Predict the golden film on the CPU; `folder` is for its file in the meantime."""
    film = cv2.imencode(".png", make_case(FILM_OPTIONS, 0).pixels)[1].tobytes()
    write_bytes(folder / FILM, film)
    return Golden(film, *_answer(bundle, folder / FILM))


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
        CheckpointError: the prediction is another one than the bundle's maker saw.
    """
    kept = read_json(folder / ANSWER)
    expected = np.array([*map(tuple, kept["boxes"])], np.float64)
    boxes, probability, attributes = _answer(bundle, folder / FILM)
    got = np.array(boxes, np.float64)
    shift = np.inf
    if got.shape == expected.shape:
        shift = float(np.abs(got[:, :4] - expected[:, :4]).max(initial=0))
        score = float(np.abs(got[:, 4] - expected[:, 4]).max(initial=0))
        other = abs(probability - float(kept["p_pneumonia"]))
        keywords = _largest_difference(attributes, kept.get("attributes"))
        if shift <= BOX_TOLERANCE_PX and max(score, other, keywords) <= SCORE_TOLERANCE:
            return shift
        if keywords > SCORE_TOLERANCE:
            raise CheckpointError(
                f"{folder / ANSWER}: a keyword's probability is {keywords:.3f} off; predictions "
                "cannot be trusted here"
            )
    raise CheckpointError(
        f"{folder / ANSWER}: expected boxes {expected.round(2).tolist()} and P(pneumonia) "
        f"{float(kept['p_pneumonia']):.3f}, got {got.round(2).tolist()} and {probability:.3f}; "
        "torch or a processor behaves unlike that of the bundle's maker: predictions cannot be "
        "trusted here"
    )


def _largest_difference(got: tuple[float, ...], kept: list[float] | None) -> float:
    """Of the keywords' probabilities; 0 for bundles from before these were kept."""
    if kept is None:
        return 0.0
    if len(kept) != len(got):
        return np.inf
    return float(np.abs(np.array(kept) - np.array(got)).max(initial=0))


def _answer(
    bundle: Bundle, film: Path
) -> tuple[tuple[tuple[float, ...], ...], float, tuple[float, ...]]:
    options = PredictOptions(max_boxes=BOXES)
    prediction = predict_films(
        bundle, [FilmToPredict("golden", film, FILM)], options, torch.device("cpu")
    )
    rows = prediction.boxes[["x1", "y1", "x2", "y2", "score"]].to_numpy(np.float64)
    boxes = tuple(tuple(float(value) for value in row) for row in rows)
    attributes = prediction.attributes.iloc[0, 1:].astype(float)
    return boxes, float(prediction.images["p_pneumonia"].iloc[0]), tuple(attributes)
