"""Pairs over time (the paper's figure 3): two films of one patient with their severity."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from experiments.core.drawing import figure_at
from experiments.figures.film_panel import draw_film
from experiments.figures.source import FigureSource, best_boxes, film_paths

MAX_BOXES = 2
NO_BOXES = np.zeros((0, 4))


def chosen_pairs(source: FigureSource) -> list[tuple[str, str]]:
    """First and last film of patients: the greatest rise of the true score, the middle, the fall.

    Patients without two scored films at different times are left out.
    """
    truth = dict(zip(source.severity[0].image_ids, source.severity[0].truth, strict=True))
    pairs = []
    for _, films in source.series.images.groupby("patient_id", sort=True):
        known = [i for i in films["image_id"] if i in truth and i in source.time]
        known.sort(key=lambda image_id: (source.time[image_id], image_id))
        if len(known) > 1 and source.time[known[0]] < source.time[known[-1]]:
            pairs.append((truth[known[-1]] - truth[known[0]], known[0], known[-1]))
    pairs.sort()
    chosen = dict.fromkeys((len(pairs) - 1, len(pairs) // 2, 0)) if pairs else {}
    return [pairs[number][1:] for number in chosen]


def draw_series(source: FigureSource, path: Path) -> bool:
    """Write a PNG with a column for each pair, earlier film above; False where there is no pair."""
    pairs = chosen_pairs(source)
    if not pairs:
        return False
    files, true = film_paths(source.series), source.series.boxes_by_image()
    points = source.severity[0]
    row_of = {image_id: k for k, image_id in enumerate(points.image_ids)}
    with figure_at(path, 2.2 * len(pairs), 5.2) as figure:
        panels = figure.subplots(2, len(pairs), squeeze=False)
        for column, pair in enumerate(pairs):
            for row, image_id in enumerate(pair):
                panel = panels[row, column]
                draw_film(
                    panel,
                    files[image_id],
                    true.get(image_id, NO_BOXES),
                    best_boxes(source.series_prediction, image_id, MAX_BOXES),
                )
                k = row_of[image_id]
                panel.set_xlabel(f"severity {points.predicted[k]:.1f}, true {points.truth[k]:.1f}")
        panels[0, 0].set_ylabel("earlier")
        panels[1, 0].set_ylabel("later")
        figure.suptitle("two films of a patient; the two best boxes red, true ones green", size=8)
    return True
