"""`GroundingExample`: a volume on the network's grid with the queries of its report.

Volumes are resampled once and stored as plain arrays (`.npy`, never pickles) in a cache folder, of
which a patch reads only its own part.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from attributes.anomalies.anomaly import Anomaly
from attributes.anomalies.structure_ct import AnomalyStructurer
from data_manifests.support.arrays import Bools
from data_manifests.support.atomic import atomic_path
from data_manifests.support.progress_bar import progress_bar
from data_manifests.volumes.grid import patient_grid
from data_manifests.volumes.nifti import read_label_map
from data_manifests.volumes.read_volume import read_anatomy, read_volume
from data_manifests.volumes.volume import resample
from data_manifests.volumes.volume_set import MarkedAnomaly, ReportedVolume, VolumeSet
from localize.volumes.network.network_image import network_image
from localize.volumes.network.query import AnomalyQuery, anomaly_query, readable_anomalies
from localize.volumes.network.report_tokens import ReportTokens, Vocabulary

CACHE_VERSION = 1


@dataclass(frozen=True)
class GroundingExample:
    """A volume ready for the network.

    Args:
        volume_id: of the set.
        image: file of uint8 (2, X, Y, Z): grey levels and organ channel in steps of 1/255.
        regions: file of bool (R, X, Y, Z), the regions of the marked anomalies that have one.
        tokens: of the report.
        queries: of the marked anomalies that the structurer found, and
        region_of: the row of `regions` of each.
        missed: how many marked anomalies the structurer did not find.
        marked: the marked anomaly of each region.
        found: the anomaly of each query.
    """

    volume_id: str
    image: Path
    regions: Path
    tokens: ReportTokens
    queries: tuple[AnomalyQuery, ...]
    region_of: tuple[int, ...]
    marked: tuple[MarkedAnomaly, ...]
    found: tuple[Anomaly, ...]

    def read_image(self, *, use_anatomy: bool) -> NDArray[np.uint8]:
        """The channels (C, X, Y, Z) as they are stored, read as they are used."""
        image: NDArray[np.uint8] = np.load(self.image, mmap_mode="r")  # pickles are refused
        return np.asarray(image if use_anatomy else image[:1])

    def read_regions(self) -> Bools:
        """The regions (R, X, Y, Z), read as they are used."""
        regions: Bools = np.load(self.regions, mmap_mode="r")
        return regions


def make_examples(
    volume_set: VolumeSet,
    volumes: Sequence[ReportedVolume],
    vocabulary: Vocabulary,
    structurer: AnomalyStructurer,
    *,
    spacing_mm: float,
    cache: Path,
) -> list[GroundingExample]:
    """Examples of volumes; each is resampled once into `cache`.

    Raises:
        DataError: a volume, label map or mask that cannot be read, or does not fit its volume.
    """
    examples = []
    for item in progress_bar(volumes, desc="volumes", unit="volume", delay=2.0):
        report = structurer.structure(item.report)
        tokens = vocabulary.tokenize(report)
        anomalies = readable_anomalies(report, tokens)
        marked = tuple(one for one in item.anomalies if one.mask)
        image, regions = _cached(volume_set, item, marked, spacing_mm, cache)
        pairs = match_anomalies(marked, anomalies)
        organs = structurer.lexicon.organs
        examples.append(
            GroundingExample(
                item.volume_id, image, regions, tokens,
                tuple(anomaly_query(anomaly, tokens, organs) for _, anomaly in pairs),
                tuple(row for row, _ in pairs), marked, tuple(anomaly for _, anomaly in pairs),
            )
        )  # fmt: skip
    return examples


def match_anomalies(
    marked: Sequence[MarkedAnomaly], anomalies: Sequence[Anomaly]
) -> list[tuple[int, Anomaly]]:
    """The structured anomaly of each marked one: it shares its phrase and most words of its place.

    A structured anomaly is used once; a marked one without any is left out.
    """
    pairs: list[tuple[int, Anomaly]] = []
    free = list(anomalies)
    for row, one in enumerate(marked):
        same = [a for a in free if a.head.start < one.end and one.start < a.head.end]
        if not same:
            continue
        words = set(one.place.lower().replace(";", " ").split())
        best = max(same, key=lambda a: len(a.places & words))
        free.remove(best)
        pairs.append((row, best))
    return pairs


def _cached(
    volume_set: VolumeSet,
    item: ReportedVolume,
    marked: Sequence[MarkedAnomaly],
    spacing_mm: float,
    cache: Path,
) -> tuple[Path, Path]:
    """Files of the image and of the regions, made where they are not there yet."""
    folder = volume_set.folder
    names = [item.path, item.anatomy, *(f"{one.mask}#{one.value}" for one in marked)]
    stamps = [
        (name, (folder / name.partition("#")[0]).stat().st_mtime_ns)
        for name in names
        if name and (folder / name.partition("#")[0]).exists()
    ]
    key: list[Any] = [
        CACHE_VERSION,
        spacing_mm,
        names,
        stamps,
        sorted(volume_set.labels.names.items()),
    ]
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:20]
    image_file, regions_file = (cache / f"{digest}-{part}.npy" for part in ("image", "regions"))
    if image_file.exists() and regions_file.exists():
        return image_file, regions_file
    volume = read_volume(folder / item.path)
    anatomy = read_anatomy(folder / item.anatomy, volume) if item.anatomy else None
    grid = patient_grid(volume.grid, spacing_mm)
    regions = np.zeros((len(marked), *grid.shape), dtype=bool)
    for row, one in enumerate(marked):
        mask = read_label_map(folder / one.mask, channel=one.value if one.is_channel else None)
        inside = mask.values > 0 if one.is_channel else mask.values == one.value
        # A share of a coarse voxel counts from one half; a region of less keeps its densest voxel.
        share = resample(inside.astype(np.float32), mask.grid, grid, fill=0.0)
        regions[row] = share >= min(0.5, float(share.max()) or 0.5)
    _save(regions_file, regions)
    _save(image_file, network_image(volume, anatomy, volume_set.labels, spacing_mm))
    return image_file, regions_file


def _save(path: Path, values: NDArray[Any]) -> None:
    with atomic_path(path) as temporary:
        np.save(temporary, values, allow_pickle=False)
