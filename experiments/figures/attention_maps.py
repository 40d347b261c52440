"""`draw_attention`: which regions of a film each attribute comes from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from experiments.core.drawing import figure_at
from experiments.figures.film_panel import draw_film
from experiments.figures.source import FigureSource, chosen_films, film_paths
from localize.bundle.bundle import load_bundle
from localize.inference.model import Model

QUANTILES = (0.4, 0.65, 0.9)
KEYWORDS = 4  # with the highest probability in each film
REGIONS = 50
GRID = 64  # cells along the film's width and height
NO_BOXES = np.zeros((0, 4))
Floats = NDArray[np.float64]


def attention_map(xyxy: Floats, weights: Floats, width: int, height: int) -> NDArray[np.float32]:
    """Weighted sum of boxes on a grid, divided by its maximum; (G, G) in [0, 1].

    `xyxy` (R, 4) in film pixels, `weights` (R,) at least 0. A cell belongs to a box if its centre
    does.
    """
    x = (np.arange(GRID) + 0.5) * width / GRID
    y = (np.arange(GRID) + 0.5) * height / GRID
    across = (x >= xyxy[:, [0]]) & (x < xyxy[:, [2]])
    down = (y >= xyxy[:, [1]]) & (y < xyxy[:, [3]])
    painted = np.einsum("r,ry,rx->yx", weights, down.astype(float), across.astype(float))
    top = painted.max()
    scaled: NDArray[np.float32] = (painted / top if top > 0 else painted).astype(np.float32)
    return scaled


def draw_attention(source: FigureSource, path: Path, device: torch.device) -> None:
    """Write a PNG: a row for each film, with its most probable attributes.

    The map of an attribute is the sum over ROIs of alpha times the ROI's probability of the
    attribute. True boxes are green.
    """
    bundle = load_bundle(source.bundle)
    files, true = film_paths(source.truth), source.truth.boxes_by_image()
    films = chosen_films(source, QUANTILES)
    results = Model(bundle, device=device).regions(
        [files[image_id] for image_id in films], limit=REGIONS
    )
    with figure_at(path, 1.7 * KEYWORDS, 1.9 * len(films) + 0.4) as figure:
        panels = figure.subplots(len(films), KEYWORDS, squeeze=False)
        for image_id, row, found in zip(films, panels, results, strict=True):
            likely = np.argsort(-found.attributes, kind="stable")[:KEYWORDS]
            for column, keyword in enumerate(likely):
                heat = attention_map(
                    found.xyxy,
                    found.alpha * found.region_attributes[:, keyword],
                    found.width,
                    found.height,
                )
                boxes = true.get(image_id, NO_BOXES)
                draw_film(row[column], files[image_id], boxes, NO_BOXES, heat)
                chance = found.attributes[keyword]
                row[column].set_xlabel(f"{bundle.words.keywords[keyword]} {chance:.2f}")
        figure.suptitle("regions that each attribute comes from; true boxes green", size=8)
