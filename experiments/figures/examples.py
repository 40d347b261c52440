"""Localization examples (the paper's figure 2): the same films, a row for each method."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from experiments.core.drawing import figure_at
from experiments.figures.film_panel import draw_film
from experiments.figures.source import (
    FigureSource,
    best_boxes,
    chosen_films,
    film_paths,
    named_attributes,
)

QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
MAX_NAMED = 4
NO_BOXES = np.zeros((0, 4))


def draw_examples(source: FigureSource, path: Path) -> None:
    """Write a PNG: true boxes green, as many of each method red, and our attributes below."""
    films, files = chosen_films(source, QUANTILES), film_paths(source.truth)
    true = source.truth.boxes_by_image()
    names = list(source.predictions)
    with figure_at(path, 1.7 * len(films), 1.9 * len(names) + 0.4) as figure:
        panels = figure.subplots(len(names), len(films), squeeze=False)
        for name, row in zip(names, panels, strict=True):
            prediction = source.predictions[name]
            for image_id, panel in zip(films, row, strict=True):
                boxes = true.get(image_id, NO_BOXES)
                draw_film(
                    panel, files[image_id], boxes, best_boxes(prediction, image_id, len(boxes))
                )
                if name == source.method:
                    words = named_attributes(prediction, image_id)[:MAX_NAMED]
                    panel.set_xlabel("\n".join(words) or "no attribute", fontsize=6)
            row[0].set_ylabel(name)
        figure.suptitle("true boxes green, as many predicted red; films from bad to good", size=8)
