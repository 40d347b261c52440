"""Volumes are read whole or refused with a named error."""

from __future__ import annotations

import gzip
import importlib.metadata

import nibabel
import numpy as np
import pytest

from data_manifests.support.errors import ConfigError, DataError
from data_manifests.volumes.nifti import read_label_map, write_nifti
from data_manifests.volumes.read_volume import read_anatomy, read_volume
from data_manifests.volumes.volume import windowed
from tests.data_manifests.volumes.files import (
    cube_volume,
    grid_of,
    write_series,
    write_volume,
)


@pytest.fixture
def series(tmp_path):
    hu, grid, _ = cube_volume()
    return write_series(tmp_path / "series", hu, grid)


def test_a_series_gives_the_hounsfield_units_sorted_by_position(series):
    hu, grid, _ = cube_volume()
    volume = read_volume(series)
    assert np.abs(volume.hu - hu).max() <= 1  # stored in steps of 2
    assert volume.grid.same_as(grid, tolerance_mm=1e-3)


def test_a_missing_slice_is_named_with_its_neighbours(series):
    slices = sorted(series.iterdir())
    by_number = {path.name: path for path in slices}
    names = [f"{n:03d}.dcm" for n in np.random.default_rng(0).permutation(16)]
    by_number[names[7]].unlink()
    with pytest.raises(DataError, match=rf"got 4 mm between {names[6]} and {names[8]}.*missing"):
        read_volume(series)


def test_a_series_shorter_than_its_headers_promise_is_truncated(tmp_path):
    hu, grid, _ = cube_volume()
    folder = write_series(tmp_path / "s", hu, grid, ImagesInAcquisition=20)
    with pytest.raises(DataError, match=r"expected 20 slices, .* got 16; the series is truncated"):
        read_volume(folder)


def test_a_cut_file_is_refused(series):
    path = sorted(series.iterdir())[3]
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"003.dcm: expected complete pixel data"):
        read_volume(series)


def test_a_file_cut_before_its_preamble_is_refused(series):
    path = sorted(series.iterdir())[3]
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match=r"DICOM files only, got 003.dcm"):
        read_volume(series)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"SeriesInstanceUID": lambda k: f"1.2.{k // 8}"}, "2 series with 8, 8 slices"),
        ({"PixelSpacing": lambda k: [2.0, 2.0 + 0.1 * (k == 3)]}, "size, spacing and orientation"),
        ({"ImagePositionPatient": lambda k: [0, -0.7 * k, 2.0 * k]}, "gantry tilt of 19.3 deg"),
        ({"ImagePositionPatient": lambda k: [0, 0, 2.0 * max(k, 1)]}, "two at that of"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localizer"),
        ({"RescaleSlope": None}, "no RescaleSlope"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2.1"}, "a CT image of one frame"),
    ],
)
def test_what_is_no_stack_of_one_series_is_refused(tmp_path, changes, message):
    hu, grid, _ = cube_volume()
    folder = write_series(tmp_path / "s", hu, grid, **changes)
    with pytest.raises(DataError, match=message):
        read_volume(folder)


def test_a_second_series_in_the_folder_is_refused(series, tmp_path):
    hu, grid, _ = cube_volume()
    other = write_series(tmp_path / "other", hu, grid)
    for path in other.iterdir():
        path.rename(series / f"other-{path.name}")
    with pytest.raises(DataError, match="expected slices of one series, got 2 series"):
        read_volume(series)


def test_an_error_shows_no_folder_above_the_series(series):
    next(series.iterdir()).unlink()
    with pytest.raises(DataError) as error:
        read_volume(series)
    assert str(series.parent) not in str(error.value)


def test_slices_of_5_mm_are_noted_and_of_8_mm_refused(tmp_path):
    hu, grid, _ = cube_volume(grid_of(spacing=(0.8, 0.8, 5.0)))
    volume = read_volume(write_volume(tmp_path / "thick.nii.gz", hu, grid))
    assert volume.notes == ("slices 5 mm apart: maps are interpolated between them",)
    hu, grid, _ = cube_volume(grid_of(spacing=(0.8, 0.8, 8.0)))
    with pytest.raises(DataError, match="at most 6 mm apart, got 8 mm"):
        read_volume(write_volume(tmp_path / "far.nii.gz", hu, grid))


def test_a_label_map_of_another_shape_or_place_is_refused(tmp_path):
    hu, grid, _ = cube_volume()
    volume = read_volume(write_volume(tmp_path / "v.nii.gz", hu, grid))
    write_nifti(tmp_path / "cut.nii.gz", np.zeros((20, 24, 15), np.uint8), grid_of((20, 24, 15)))
    moved = grid_of(origin=(-31.0, 12.0, 404.0))
    write_nifti(tmp_path / "moved.nii.gz", np.zeros(moved.shape, np.uint8), moved)
    for name in ("cut", "moved"):
        with pytest.raises(DataError, match="a label map on the volume's grid"):
            read_anatomy(tmp_path / f"{name}.nii.gz", volume)


def test_values_that_are_no_hounsfield_units_are_refused(tmp_path):
    _, grid, _ = cube_volume()
    values = np.random.default_rng(0).random(grid.shape)
    with pytest.raises(DataError, match="Hounsfield units"):
        read_volume(write_volume(tmp_path / "v.nii.gz", values, grid))


def test_a_truncated_nifti_file_is_refused(tmp_path):
    hu, grid, _ = cube_volume()
    path = write_volume(
        tmp_path / "v.nii.gz", np.random.default_rng(0).normal(0, 400, hu.shape), grid
    )
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"v.nii.gz: expected"):
        read_volume(path)


def test_a_nifti_file_that_is_no_nifti_or_has_no_place_is_refused(tmp_path):
    (tmp_path / "text.nii").write_text("hello" * 100)
    (tmp_path / "bad.nii.gz").write_bytes(gzip.compress(b"x" * 1000))
    for name in ("text.nii", "bad.nii.gz", "gone.nii"):
        with pytest.raises(DataError, match=rf"{name}: expected a NIfTI file"):
            read_volume(tmp_path / name)
    image = nibabel.Nifti1Image(np.full((4, 4, 4), -500, np.int16), None)
    image.header["qform_code"] = image.header["sform_code"] = 0
    image.to_filename(tmp_path / "placeless.nii.gz")
    with pytest.raises(DataError, match="a place in the patient"):
        read_volume(tmp_path / "placeless.nii.gz")


def test_sheared_axes_are_refused(tmp_path):
    hu, grid, _ = cube_volume()
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.affine
    affine[1, 2] = 0.6
    image = nibabel.Nifti1Image(hu, affine)
    image.set_sform(affine, 1)
    image.set_qform(None, 0)
    image.to_filename(tmp_path / "tilt.nii.gz")
    with pytest.raises(DataError, match="gantry tilt"):
        read_volume(tmp_path / "tilt.nii.gz")


@pytest.mark.parametrize("axis", [0, 3])
def test_a_channel_of_a_map_is_read_wherever_its_axis_is(tmp_path, axis):
    _, grid, _ = cube_volume()
    channels = np.zeros((3, *grid.shape), np.uint8)
    channels[1, 2:5, 3, 4] = 1
    image = nibabel.Nifti1Image(np.moveaxis(channels, 0, axis), np.diag([-2.0, -2, 2, 1]))
    image.to_filename(tmp_path / "map.nii.gz")
    read = read_label_map(tmp_path / "map.nii.gz", channel=1)
    assert (read.values == channels[1]).all()
    with pytest.raises(DataError, match="a channel 3, got 3 channels"):
        read_label_map(tmp_path / "map.nii.gz", channel=3)


def test_without_nibabel_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    hu, grid, _ = cube_volume()
    path = write_volume(tmp_path / "v.nii.gz", hu, grid)
    monkeypatch.setattr(importlib.metadata, "version", missing)
    with pytest.raises(ConfigError, match=r"pip install pneumoloc\[volumes\]"):
        read_volume(path)


def test_the_window_is_linear_between_air_and_bone():
    values = windowed(np.array([-2000, -1000, 0, 500, 3000], dtype=np.float32))
    assert values.tolist() == [0, 0, 0.5, 0.75, 1]
