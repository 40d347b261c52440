"""`build_phantom_volumes`: a folder of phantom chest volumes with reports and marked regions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from data_manifests.phantom_volumes.anomalies import Planted, plant_anomalies
from data_manifests.phantom_volumes.chest import LABELS, add_texture, make_chest
from data_manifests.phantom_volumes.report import VolumeReport, write_report
from data_manifests.support.arrays import Floats32, Ints
from data_manifests.support.errors import ConfigError
from data_manifests.support.progress_bar import progress_bar
from data_manifests.volumes.grid import Grid
from data_manifests.volumes.nifti import write_nifti
from data_manifests.volumes.organ_labels import OrganLabels
from data_manifests.volumes.volume_set import (
    MarkedAnomaly,
    ReportedVolume,
    VolumeSet,
    write_volume_set,
)

GENERATOR_VERSION = 1  # raise it when the same seed gives other volumes
EXTENT_MM = (360.0, 300.0, 240.0)  # left to right, front to back, foot to head
SHARES = {"test": 0.25, "val": 0.1}


@dataclass(frozen=True)
class PhantomVolumeOptions:
    """A phantom is determined by `seed`, the voxel size and the number of anomalies."""

    seed: int = 0
    spacing_mm: float = 7.5
    max_anomalies: int = 4

    def __post_init__(self) -> None:
        if self.seed < 0 or not 1 <= self.spacing_mm <= 10 or not 1 <= self.max_anomalies <= 8:
            raise ConfigError(
                "phantom volumes: expected seed >= 0, spacing of 1 to 10 mm, 1 to 8 anomalies, "
                f"got {self}"
            )

    @property
    def grid(self) -> Grid:
        """The grid around the origin of the patient frame."""
        nx, ny, nz = (round(edge / self.spacing_mm) for edge in EXTENT_MM)
        affine = np.diag([self.spacing_mm] * 3 + [1.0])
        affine[:3, 3] = [-(count - 1) / 2 * self.spacing_mm for count in (nx, ny, nz)]
        return Grid((nx, ny, nz), affine)


@dataclass(frozen=True)
class PhantomVolume:
    """A phantom volume: Hounsfield units, organ labels, planted anomalies and its report."""

    hu: Floats32
    labels: Ints
    planted: tuple[Planted, ...]
    report: VolumeReport


def make_phantom_volume(options: PhantomVolumeOptions, index: int) -> PhantomVolume:
    """Volume `index` of the endless series of `options`, the same whatever the others are."""
    rng = np.random.default_rng((options.seed, index, GENERATOR_VERSION))
    chest = make_chest(rng, options.grid)
    count = int(rng.integers(2, options.max_anomalies + 1)) if options.max_anomalies > 1 else 1
    hu, planted = plant_anomalies(rng, chest, count)
    report = write_report(rng, planted)
    return PhantomVolume(add_texture(rng, hu, chest.labels), chest.labels, tuple(planted), report)


def build_phantom_volumes(
    out: Path, options: PhantomVolumeOptions | None = None, *, volumes: int = 200
) -> VolumeSet:
    """Write `volumes` phantom volumes and their tables into `out`.

    A quarter of the volumes is `test`, a tenth `val`, the rest `train`.

    Raises:
        ConfigError: not even one volume, or nibabel is not installed.
    """
    options = options or PhantomVolumeOptions()
    if volumes < 1:
        raise ConfigError(f"phantom volumes: expected at least 1, got {volumes}")
    out.mkdir(parents=True, exist_ok=True)
    phantom = VolumeSet(
        out,
        tuple(_written(out, options, volumes)),
        OrganLabels({value: name for name, value in LABELS.items()}),
    )
    write_volume_set(
        phantom,
        builder="phantom_volumes",
        options={**asdict(options), "volumes": volumes, "generator_version": GENERATOR_VERSION},
    )
    return phantom


def _written(out: Path, options: PhantomVolumeOptions, count: int) -> Iterator[ReportedVolume]:
    for index in progress_bar(range(count), desc="phantom volumes", unit="volume", delay=2.0):
        volume = make_phantom_volume(options, index)
        name = f"pv-s{options.seed}-{index:05d}"
        write_nifti(out / f"ct/{name}.nii.gz", volume.hu.astype(np.int16), options.grid)
        write_nifti(out / f"anatomy/{name}.nii.gz", volume.labels.astype(np.uint8), options.grid)
        regions = np.zeros(options.grid.shape, dtype=np.uint8)
        for value, one in enumerate(volume.planted, start=1):
            regions[one.mask] = value
        mask = f"regions/{name}.nii.gz"
        write_nifti(out / mask, regions, options.grid)
        yield ReportedVolume(
            volume_id=name,
            patient_id=name,
            path=f"ct/{name}.nii.gz",
            anatomy=f"anatomy/{name}.nii.gz",
            report=volume.report.text,
            split=_split(options, index),
            anomalies=tuple(_marked(volume, mask)),
        )


def _marked(volume: PhantomVolume, mask: str) -> Iterator[MarkedAnomaly]:
    for mention in volume.report.mentions:
        one = mention.planted
        if one is None:
            yield MarkedAnomaly(
                mention.start, mention.end, mention.denied_type, "", "", "absent", "", 0
            )
        else:
            value = next(n for n, item in enumerate(volume.planted, start=1) if item is one)
            yield MarkedAnomaly(
                mention.start, mention.end, one.type, one.organ, one.place, "present", mask, value
            )


def _split(options: PhantomVolumeOptions, index: int) -> str:
    number = np.random.default_rng((options.seed, index, 99)).random()
    if number < SHARES["test"]:
        return "test"
    return "val" if number < SHARES["test"] + SHARES["val"] else "train"
