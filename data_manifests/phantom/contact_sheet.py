"""A contact sheet of phantom films with their true boxes, to look at."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from data_manifests.laterality import SIDES
from data_manifests.phantom.case import Case, PhantomOptions, make_case
from data_manifests.phantom.domains import DOMAIN_NAMES
from data_manifests.support.atomic import atomic_path

BOX_COLOUR = (255, 190, 40)
TEXT_COLOUR = (235, 235, 235)
GAP_PX = 4
CAPTION_PX = 28
PALETTE = 96  # colours of the stored sheet: enough to look at, a third of the file
CAPTION_ORDER = (
    "severe", "moderate", "mild", "diffuse", "multifocal", "focal", "patchy", "interstitial",
    "streaky", "nodular", "hazy", "bilateral", "right", "left", "apical", "perihilar", "lingular",
    "retrocardiac", "basal", "upper", "middle", "lower",
)  # fmt: skip


def draw_sheet(cases: Sequence[Case], columns: int) -> Image.Image:
    """Films side by side, boxes in yellow, the true words of each below it."""
    size = int(cases[0].pixels.shape[0])
    rows = -(-len(cases) // columns)
    width, height = size + GAP_PX, size + CAPTION_PX + GAP_PX
    sheet = Image.new("RGB", (columns * width - GAP_PX, rows * height - GAP_PX), (24, 24, 24))
    pen = ImageDraw.Draw(sheet)
    for number, case in enumerate(cases):
        left, top = (number % columns) * width, (number // columns) * height
        grey = case.pixels if case.pixels.dtype == np.uint8 else case.pixels // 257
        sheet.paste(Image.fromarray(grey.astype(np.uint8)).convert("RGB"), (left, top))
        for x1, y1, x2, y2 in case.opacity.boxes:
            corners = (left + x1, top + y1, left + x2, top + y2)
            pen.rectangle(corners, outline=BOX_COLOUR)
        pen.text((left + 3, top + size + 2), caption(case, size), fill=TEXT_COLOUR)
    return sheet


def caption(case: Case, width_px: int) -> str:
    """The true words of a film in at most two lines."""
    words = [word for word in CAPTION_ORDER if word in case.truth.keywords]
    if "bilateral" in words:
        words = [word for word in words if word not in SIDES]
    text = textwrap.wrap(" ".join(words) or "no opacity", max(8, width_px // 6))
    return "\n".join(text[:2])


def write_sheet(
    path: Path, options: PhantomOptions, indices: Sequence[int], *, columns: int = 6
) -> None:
    """Store one sheet: the films of hospital A, below them those of B at the options' shift."""
    cases = [
        make_case(replace(options, domain=domain), index)
        for domain in DOMAIN_NAMES
        for index in indices
    ]
    sheet = draw_sheet(cases, columns).quantize(PALETTE, dither=Image.Dither.NONE)
    with atomic_path(path) as temporary:
        sheet.save(temporary, format="PNG", optimize=True)
