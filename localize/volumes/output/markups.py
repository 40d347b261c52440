"""3D Slicer markups of the regions of an anomaly: one box ROI each, millimetres in LPS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from data_manifests.support.atomic import write_json
from localize.formats.tools.slicer import SCHEMA
from localize.volumes.output.regions import Region


def write_markups(path: Path, name: str, regions: Sequence[Region]) -> None:
    """Write a `.mrk.json` with a box for each region; without regions it holds none."""
    markups = [_markup(f"{name} {number}", item) for number, item in enumerate(regions, start=1)]
    write_json(path, {"@schema": SCHEMA, "markups": markups})


def _markup(name: str, region: Region) -> dict[str, Any]:  # Any: what JSON holds
    centre = region.centre_mm.round(4).tolist()
    return {
        "type": "ROI",
        "name": name,
        "coordinateSystem": "LPS",
        "coordinateUnits": "mm",
        "locked": False,
        "controlPoints": [{"id": "1", "label": name, "position": centre}],
        "roiType": "Box",
        "center": centre,
        # Row by row; its columns are the axes of the box.
        "orientation": region.directions.round(8).ravel().tolist(),
        "size": region.size_mm.round(4).tolist(),
        "insideOut": False,
    }
