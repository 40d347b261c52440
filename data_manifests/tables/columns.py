"""The columns of a manifest's tables; `docs/manifest.md` says what they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

IMAGE_COLUMNS = (
    "image_id",
    "patient_id",
    "study_id",
    "path",
    "view",
    "width",
    "height",
    "split",
    "source",
    "sha256",
)
REQUIRED_IMAGE_COLUMNS = IMAGE_COLUMNS[:4]
CORNERS = ("x1", "y1", "x2", "y2")
BOX_COLUMNS = ("image_id", *CORNERS, "label", "annotator")
REPORT_COLUMNS = ("study_id", "section", "text")
SPLITS = ("train", "val", "test", "")
TABLE_COLUMNS: Mapping[str, Sequence[str]] = {
    "images": IMAGE_COLUMNS,
    "boxes": BOX_COLUMNS,
    "reports": REPORT_COLUMNS,
    "labels": ("image_id",),
}
REQUIRED_COLUMNS: Mapping[str, Sequence[str]] = {
    "images": REQUIRED_IMAGE_COLUMNS,
    "boxes": BOX_COLUMNS[:5],
    "reports": (REPORT_COLUMNS[0], REPORT_COLUMNS[2]),
    "labels": ("image_id",),
}
BOX_LABEL = "opacity"  # of boxes that the toolkit makes
