"""A map lands on what it marks, in the patient, whatever the orientation of the files."""

from __future__ import annotations

import highdicom as hd
import nibabel
import numpy as np
import pytest

from data_manifests.volumes.dicom_series import sorted_slices
from data_manifests.volumes.grid import patient_grid
from data_manifests.volumes.nifti import read_label_map, write_nifti
from data_manifests.volumes.read_volume import read_volume
from data_manifests.volumes.volume import AIR_HU, resample
from localize.volumes.output.regions import find_regions
from localize.volumes.output.segmentation import write_segmentation
from tests.data_manifests.volumes.files import (
    FLIPS,
    ORIENTATIONS,
    cube_volume,
    grid_of,
    stored_as,
    write_series,
    write_volume,
)
from tests.localize.formats.dicom.test_conformance import dciodvfy

SPACINGS = [(2.0, 2.0, 2.0), (1.5, 1.5, 3.0)]


def map_of(volume, spacing_mm):
    """What a perfect network answers: the soft tissue, found on the patient grid, brought back."""
    grid = patient_grid(volume.grid, spacing_mm)
    hu = resample(volume.hu, volume.grid, grid, fill=AIR_HU)
    found = ((hu > -400) & (hu < 55)).astype(np.float32)
    return resample(found, grid, volume.grid, fill=0.0) > 0.5


def box_of(mask, grid):
    (region,) = [item for item in find_regions(mask, grid) if item.volume_ml > 0.1]
    return np.stack([region.low_mm, region.high_mm])


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
def test_a_cube_of_a_nifti_file_is_found_where_it_is_in_all_48_orientations(tmp_path, order, signs):
    hu, grid, edges = cube_volume()
    volume = read_volume(write_volume(tmp_path / "v.nii.gz", *stored_as(hu, grid, order, signs)))
    mask = map_of(volume, 2.0)
    assert np.abs(np.sort(box_of(mask, volume.grid), axis=0) - edges).max() <= 2.0
    assert mask.sum() == pytest.approx(4**3, rel=0.1)
    # Written and read by nibabel alone, in its own world (RAS).
    write_nifti(tmp_path / "map.nii.gz", mask.astype(np.uint8), volume.grid)
    image = nibabel.load(tmp_path / "map.nii.gz")
    voxels = np.argwhere(np.asarray(image.dataobj) > 0)
    ras = nibabel.affines.apply_affine(image.affine, voxels)
    lps = ras * [-1, -1, 1]
    assert np.abs(lps.mean(axis=0) - edges.mean(axis=0)).max() < 1.0


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize(("order", "signs"), FLIPS)
def test_a_cube_of_a_dicom_series_and_its_segmentation_are_where_it_is(
    tmp_path, order, signs, spacing
):
    hu, grid, edges = cube_volume(grid_of(spacing=spacing))
    stored, stored_grid = stored_as(hu, grid, order, signs)
    folder = write_series(tmp_path / "series", stored, stored_grid)
    volume = read_volume(folder)
    mask = map_of(volume, 1.5)
    assert np.abs(box_of(mask, volume.grid) - edges).max() <= max(spacing)
    write_segmentation(tmp_path / "seg.dcm", mask, sorted_slices(folder), "nodule")
    found = hd.seg.segread(tmp_path / "seg.dcm").get_volume(combine_segments=True)
    points = found.map_indices_to_reference(np.argwhere(found.array > 0))
    assert np.abs(points.mean(axis=0) - edges.mean(axis=0)).max() < max(spacing)
    assert len(points) == mask.sum()


def test_an_oblique_series_keeps_its_place(tmp_path):
    hu, grid, _ = cube_volume()
    angle = np.radians(20)
    turn = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    affine = grid.affine.copy()
    affine[:3, :3] = turn @ affine[:3, :3]
    oblique = type(grid)(grid.shape, affine)
    volume = read_volume(write_series(tmp_path / "series", hu, oblique))
    mask = map_of(volume, 1.0)
    truth = hu == 50
    overlap = (mask & truth).sum() / (mask | truth).sum()
    assert overlap > 0.8


def test_a_segmentation_names_no_patient_and_is_the_same_twice(tmp_path):
    hu, grid, _ = cube_volume()
    folder = write_series(tmp_path / "series", hu, grid)
    for name in ("a.dcm", "b.dcm"):
        write_segmentation(tmp_path / name, hu == 50, sorted_slices(folder), "nodule")
    assert "Secret" not in str(hd.seg.segread(tmp_path / "a.dcm"))
    first, second = (hd.seg.segread(tmp_path / name) for name in ("a.dcm", "b.dcm"))
    assert first.SOPInstanceUID == second.SOPInstanceUID
    assert first.PixelData == second.PixelData


def test_a_segmentation_has_no_error_for_the_validator_of_dicom3tools(tmp_path):
    hu, grid, _ = cube_volume()
    changes = {"PatientBirthDate": "", "PatientSex": "", "StudyDate": "", "StudyTime": ""}
    folder = write_series(tmp_path / "series", hu, grid, **changes)
    write_segmentation(tmp_path / "seg.dcm", hu == 50, sorted_slices(folder), "01-nodule")
    assert dciodvfy(tmp_path / "seg.dcm") == []


def test_label_maps_keep_their_numbers_through_resampling(tmp_path):
    hu, grid, _ = cube_volume()
    labels = np.where(hu == 50, 14, 3)
    write_nifti(tmp_path / "labels.nii.gz", labels.astype(np.uint8), grid)
    read = read_label_map(tmp_path / "labels.nii.gz")
    coarse = resample(read.values, read.grid, patient_grid(read.grid, 1.3), fill=0, nearest=True)
    assert set(np.unique(coarse)) <= {0, 3, 14}
