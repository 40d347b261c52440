"""`draw_film`: one film with its true and predicted boxes, and optionally a heat over it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from data_manifests.films.read_film import read_film
from data_manifests.support.arrays import Floats, Floats32

TRUE, PREDICTED = "#2ECC40", "#FF4136"  # green and red, as in the paper
SHOWN_PX = 480  # longer side in the figure; films have thousands


def draw_film(
    panel: Axes,
    path: Path,
    true: Floats,
    predicted: Floats,
    heat: Floats32 | None = None,
) -> None:
    """Draw a film in grey; boxes (N, 4) in film pixels; `heat` (h, w) in [0, 1] of the whole film.

    Raises:
        DataError: the film cannot be read.
    """
    film = read_film(path)
    step = max(1, int(np.ceil(max(film.width, film.height) / SHOWN_PX)))
    extent = (0, film.width, film.height, 0)
    panel.imshow(
        film.pixels[::step, ::step], cmap="gray", vmin=0, vmax=1, extent=extent, aspect="equal"
    )
    if heat is not None:
        panel.imshow(heat, cmap="magma", vmin=0, vmax=1, alpha=0.6 * heat, extent=extent)
    for boxes, colour in ((true, TRUE), (predicted, PREDICTED)):
        for x1, y1, x2, y2 in boxes:
            panel.add_patch(
                Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour, lw=1.2)
            )
    panel.set_xticks([])
    panel.set_yticks([])
    for spine in panel.spines.values():
        spine.set_visible(False)
