"""`write_page`: a page with three planes for each anomaly of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment

from data_manifests.support.atomic import atomic_path, write_text
from localize.volumes.inference.ground import Grounding
from localize.volumes.output.planes import draw_planes
from localize.volumes.output.regions import Region


@dataclass(frozen=True)
class PageRow:
    """An anomaly of the page."""

    name: str
    sentence: str
    peak: float
    regions: tuple[Region, ...]

    @property
    def volume_ml(self) -> float:
        """Of all its regions."""
        return sum(region.volume_ml for region in self.regions)


def write_page(
    folder: Path,
    grounding: Grounding,
    rows: Sequence[PageRow],
    denied: Sequence[str],
    *,
    threshold: float,
) -> None:
    """Write `index.html` and a picture for each anomaly, in the order of `grounding.maps`.

    Sentences are untrusted text: the template escapes them.
    """
    for row, steps in zip(rows, grounding.maps, strict=True):
        with atomic_path(folder / "planes" / f"{row.name}.png") as temporary:
            draw_planes(grounding.image[0], steps).save(temporary)
    source = (files("localize.volumes.output") / "page.html").read_text("utf-8")
    template = Environment(autoescape=True, trim_blocks=True).from_string(source)
    page = template.render(rows=rows, denied=list(dict.fromkeys(denied)), threshold=threshold)
    write_text(folder / "index.html", page)
