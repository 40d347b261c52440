"""`figure_at`: figures with the same bytes every time: one backend, one style, no time stamps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from data_manifests.support.atomic import atomic_path

DPI = 120
# Okabe & Ito's colours, which colour-blind readers can distinguish, also in print.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#F0E442")
STYLE: dict[Any, Any] = {  # Any: matplotlib names every one of its 300 settings as a type
    "font.family": "DejaVu Sans",  # ships with matplotlib
    "font.size": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "savefig.dpi": DPI,
    "figure.dpi": DPI,
}


@contextmanager
def figure_at(path: Path, width: float, height: float) -> Iterator[Figure]:
    """A figure of some inches, saved as PNG to `path` when the block ends."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure
        with atomic_path(path) as temporary:
            # matplotlib would write its version and so change the bytes with every release.
            figure.savefig(temporary, format="png", metadata={"Software": None})
