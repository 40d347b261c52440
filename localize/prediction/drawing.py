"""Boxes drawn over a film: on matplotlib axes, and as HTML for notebooks."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from data_manifests.boxes import Boxes
from data_manifests.support.arrays import Floats32

if TYPE_CHECKING:
    from matplotlib.axes import Axes

JPEG_QUALITY = 82
PICTURE_SIDE = 320  # px, of the inline picture
BOX_COLOUR = "#ffb000"


def plot_boxes(
    pixels: Floats32 | None, boxes: Boxes, captions: Sequence[str], title: str, axes: Axes | None
) -> Axes:
    """Draw a film (H, W) in [0, 1], black where None, with its boxes; new axes where None."""
    from matplotlib import pyplot
    from matplotlib.patches import Rectangle

    if axes is None:
        axes = pyplot.subplots(figsize=(6, 6 * boxes.height / boxes.width))[1]
    shown = np.zeros((1, 1), np.float32) if pixels is None else pixels
    extent = (0, boxes.width, boxes.height, 0)
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1, extent=extent, interpolation="nearest")
    # The best box last, on top of the others.
    for (x1, y1, x2, y2), caption in zip(boxes.xyxy[::-1].tolist(), captions[::-1], strict=True):
        axes.add_patch(
            Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=BOX_COLOUR, linewidth=1.5)
        )
        axes.text(x1, y1, caption, color="black", backgroundcolor=BOX_COLOUR, fontsize=7)
    axes.set_title(title, fontsize=9)
    axes.set_axis_off()
    return axes


def boxes_html(
    pixels: Floats32 | None,
    boxes: Boxes,
    captions: Sequence[str],
    rows: Sequence[tuple[str, str]],
) -> str:
    """A small picture of the film with its boxes, beside a table of `rows`; all text is escaped."""
    image = ""
    if pixels is not None:
        encoded = base64.b64encode(film_jpeg(pixels, PICTURE_SIDE)).decode("ascii")
        image = (
            f'<image href="data:image/jpeg;base64,{encoded}" width="{boxes.width}" '
            f'height="{boxes.height}" preserveAspectRatio="none"/>'
        )
    rectangles = "".join(
        f'<rect x="{x1:g}" y="{y1:g}" width="{x2 - x1:g}" height="{y2 - y1:g}" fill="none" '
        f'stroke="{BOX_COLOUR}" stroke-width="2" vector-effect="non-scaling-stroke">'
        f"<title>{escape(caption)}</title></rect>"
        for (x1, y1, x2, y2), caption in zip(boxes.xyxy.tolist(), captions, strict=True)
    )
    scale = PICTURE_SIDE / max(boxes.width, boxes.height)
    cells = "".join(
        f'<tr><th style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(value)}</td></tr>'
        for name, value in rows
    )
    return (
        '<div style="display:flex;gap:1em;align-items:flex-start">'
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {boxes.width} {boxes.height}" '
        f'width="{boxes.width * scale:.0f}" height="{boxes.height * scale:.0f}" '
        f'style="background:#000">{image}{rectangles}</svg><table>{cells}</table></div>'
    )


def film_jpeg(pixels: Floats32, longer_side: int) -> bytes:
    """JPEG of a film (H, W) in [0, 1], made smaller to `longer_side` pixels, never larger."""
    levels = (pixels.clip(0.0, 1.0) * 255.0).round().astype(np.uint8)
    image = Image.fromarray(levels)
    image.thumbnail((longer_side, longer_side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return buffer.getvalue()
