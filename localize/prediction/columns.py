"""The tables and columns of a prediction; `docs/bundles.md` says what they mean."""

from __future__ import annotations

TABLES = ("images.csv", "boxes.csv", "attributes.csv")
IMAGE_COLUMNS = (
    "image_id",
    "path",
    "width",
    "height",
    "p_pneumonia",
    "severity",
    "opacity",
    "warning",
    "status",
    "error",
)
BOX_COLUMNS = (
    "image_id",
    "x1",
    "y1",
    "x2",
    "y2",
    "score",
    "alpha",
    "detector_score",
    "label",
    "attributes",
)
# Blank in predictions of other methods, and of bundles without calibration or film guard.
OPTIONAL_COLUMNS = ("opacity", "warning")
IMAGE_NUMBERS = ("width", "height", "p_pneumonia", "severity")
BOX_NUMBERS = BOX_COLUMNS[1:8]
STATUSES = ("ok", "skipped")
