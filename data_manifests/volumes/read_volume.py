"""`read_volume`: a NIfTI file or the folder of a DICOM series, with the slice distance checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from data_manifests.films.read_film import film_error
from data_manifests.volumes.dicom_series import read_series
from data_manifests.volumes.nifti import NIFTI_SUFFIXES, is_nifti, read_label_map, read_nifti
from data_manifests.volumes.volume import LabelMap, Volume

# Thick slices are resampled and noted; from these limits on a nodule can lie between two slices.
NOTED_SLICE_MM = 3.0
MAX_SLICE_MM = 6.0
MAX_ANISOTROPY = 3.0


def read_volume(path: Path) -> Volume:
    """A CT volume from a NIfTI file or from the folder of one DICOM series.

    Slices of 3 to 6 mm are accepted with a note: resampling interpolates between them. Voxels more
    than 6 mm long and more than three times as long as wide are refused.

    Raises:
        DataError: neither; a defect of the file or series; slices too far apart.
        ConfigError: NIfTI without nibabel.
    """
    if path.is_dir():
        volume = read_series(path)
    elif is_nifti(path):
        volume = read_nifti(path)
    else:
        raise film_error(
            path,
            f"a {' or '.join(NIFTI_SUFFIXES)} file or the folder of a DICOM series",
            "a file of another kind" if path.is_file() else "no such file or folder",
        )
    spacing = volume.grid.spacing_mm
    longest, shortest = float(spacing.max()), float(spacing.min())
    if longest > MAX_SLICE_MM and longest > MAX_ANISOTROPY * shortest:
        raise film_error(
            path,
            f"slices at most {MAX_SLICE_MM:g} mm apart",
            f"{longest:g} mm",
            "use a reconstruction with thinner slices",
        )
    if longest > NOTED_SLICE_MM and longest > 1.5 * shortest:
        note = f"slices {longest:g} mm apart: maps are interpolated between them"
        return replace(volume, notes=(*volume.notes, note))
    return volume


def read_anatomy(path: Path, volume: Volume) -> LabelMap:
    """The organ labels of a volume, on the same grid.

    Raises:
        DataError: not a label map, or of another shape or place than the volume.
    """
    labels = read_label_map(path)
    if not labels.grid.same_as(volume.grid):
        raise film_error(
            path,
            f"a label map on the volume's grid, {volume.grid.shape}",
            f"{labels.grid.shape}, or voxels at another place",
            "segment this volume itself, without resampling",
        )
    return labels
