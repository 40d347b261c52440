"""`write_grounding`: the folder of a grounding.

`grounding.json`: the anomalies with their phrases, regions (boxes in LPS mm) and files.
`maps/*.nii.gz`: a map for each anomaly in percent, on the grid of the volume. `markups/*.mrk.json`:
its boxes for 3D Slicer. `segmentations/*.dcm`: its regions on the slices of a DICOM series.
`index.html` with `planes/*.png`: a page to look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attributes.anomalies.anomaly import Anomaly, StructuredReport
from data_manifests.support.atomic import write_json
from data_manifests.volumes.dicom_series import sorted_slices
from data_manifests.volumes.nifti import write_nifti
from data_manifests.volumes.volume import Volume
from localize.formats.hub.writing import atomic_folder
from localize.volumes.inference.ground import Grounding
from localize.volumes.output.markups import write_markups
from localize.volumes.output.page import PageRow, write_page
from localize.volumes.output.regions import Region, find_regions
from localize.volumes.output.segmentation import write_segmentation

FORMAT_VERSION = 1
STEPS = 255.0


@dataclass(frozen=True)
class GroundedAnomaly:
    """An anomaly with its regions; `peak` is the largest probability of its map."""

    anomaly: Anomaly
    name: str
    peak: float
    regions: tuple[Region, ...]


def write_grounding(
    grounding: Grounding, volume: Volume, out: Path, *, threshold: float
) -> list[GroundedAnomaly]:
    """Write all files; returns the anomalies with the regions where a map reaches `threshold`.

    Segmentations are written for a DICOM series, and for anomalies with a region.

    Raises:
        DataError: `out` holds files already.
    """
    grounded = []
    with atomic_folder(out) as folder:
        slices = sorted_slices(volume.path) if volume.path.is_dir() else None
        maps = grounding.on_grid(volume.grid)
        for number, (anomaly, steps) in enumerate(
            zip(grounding.anomalies, maps, strict=True), start=1
        ):
            name = f"{number:02d}-{anomaly.type}"
            percent = np.rint(steps * np.float32(100 / STEPS)).astype(np.uint8)
            write_nifti(folder / "maps" / f"{name}.nii.gz", percent, volume.grid)
            mask = steps >= threshold * STEPS
            regions = find_regions(mask, volume.grid)
            write_markups(folder / "markups" / f"{name}.mrk.json", name, regions)
            if slices is not None and regions:
                path = folder / "segmentations" / f"{name}.dcm"
                write_segmentation(path, mask, slices, name)
            peak = float(steps.max()) / STEPS
            grounded.append(GroundedAnomaly(anomaly, name, peak, tuple(regions)))
        write_json(folder / "grounding.json", _table(grounding, volume, grounded, threshold))
        rows = [
            PageRow(item.name, sentence_of(grounding.report, item.anomaly), item.peak, item.regions)
            for item in grounded
        ]
        denied = [sentence_of(grounding.report, item) for item in grounding.denied]
        write_page(folder, grounding, rows, denied, threshold=threshold)
    return grounded


def sentence_of(report: StructuredReport, anomaly: Anomaly) -> str:
    """The sentence that names an anomaly."""
    start = anomaly.head.start
    return next(
        report.text[item.start : item.end].strip()
        for item in report.sentences
        if item.start <= start < item.end
    )


def _table(
    grounding: Grounding, volume: Volume, grounded: Sequence[GroundedAnomaly], threshold: float
) -> dict[str, object]:
    report = grounding.report

    def described(anomaly: Anomaly) -> dict[str, object]:
        return {
            "type": anomaly.type,
            "organ": anomaly.organ,
            "assertion": anomaly.assertion,
            "phrases": [
                {"class": item.phrase_class, "words": report.words(item), "start": item.start,
                 "end": item.end}
                for item in anomaly.phrases
            ],
        }  # fmt: skip

    return {
        "format_version": FORMAT_VERSION,
        "threshold": threshold,
        "notes": list(volume.notes),
        "coordinates": "LPS, millimetres",
        "anomalies": [
            {
                **described(item.anomaly),
                "name": item.name,
                "peak": round(item.peak, 4),
                "regions": [_box(region) for region in item.regions],
            }
            for item in grounded
        ],
        "without_map": [described(anomaly) for anomaly in grounding.denied],
    }


def _box(region: Region) -> dict[str, object]:
    return {
        "low_mm": region.low_mm.round(2).tolist(),
        "high_mm": region.high_mm.round(2).tolist(),
        "volume_ml": round(region.volume_ml, 3),
    }
