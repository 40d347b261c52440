"""The contact sheet that the documentation shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from data_manifests.phantom.case import Case, PhantomOptions, make_case
from data_manifests.phantom.contact_sheet import (
    BOX_COLOUR,
    CAPTION_PX,
    GAP_PX,
    caption,
    draw_sheet,
    write_sheet,
)


def test_boxes_are_drawn_where_they_are(cases: list[Case]) -> None:
    case = next(case for case in cases if len(case.opacity.boxes) == 1)
    sheet = np.asarray(draw_sheet([case], 1))
    rows, columns = np.nonzero((sheet == BOX_COLOUR).all(axis=2))
    x1, y1, x2, y2 = case.opacity.boxes[0]
    drawn = np.array([columns.min(), rows.min(), columns.max(), rows.max()])
    assert np.abs(drawn - (x1, y1, x2, y2)).max() <= 1.0


def test_captions_say_only_what_is_true(cases: list[Case]) -> None:
    for case in cases:
        words = set(caption(case, 400).split())
        assert words <= case.truth.keywords or words == {"no", "opacity"}
        assert (words == {"no", "opacity"}) == (not case.truth.has_opacity)


def test_the_sheet_shows_hospital_a_above_b(tmp_path: Path) -> None:
    options = PhantomOptions(size=64, seed=1)
    write_sheet(tmp_path / "sheet.png", options, range(2), columns=2)
    with Image.open(tmp_path / "sheet.png") as sheet:
        shown = np.asarray(sheet.convert("L")).astype(float)
    second_row = 64 + CAPTION_PX + GAP_PX
    for domain, row in (("A", 0), ("B", second_row)):
        expected = make_case(replace(options, domain=domain), 0).pixels.astype(float)
        tile = shown[row : row + 64, :64]
        assert np.corrcoef(tile.ravel(), expected.ravel())[0, 1] > 0.95
