"""Volumes, label maps and DICOM series for tests, in any orientation."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path

import numpy as np
import pydicom
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from data_manifests.volumes.grid import Grid
from data_manifests.volumes.nifti import write_nifti

# The 48 ways to store a volume along the patient's axes: order of the axes and their signs.
ORIENTATIONS = list(product(permutations(range(3)), product((1, -1), repeat=3)))
FLIPS = [((0, 1, 2), signs) for signs in product((1, -1), repeat=3)]


def stored_as(values, grid, order, signs):
    """The same volume with its axes permuted and flipped: values and grid."""
    affine = grid.affine.copy()
    affine[:3, :3] = grid.affine[:3, list(order)]
    values = values.transpose(order)
    for axis, sign in enumerate(signs):
        if sign < 0:
            affine[:3, 3] += affine[:3, axis] * (values.shape[axis] - 1)
            affine[:3, axis] *= -1
            values = np.flip(values, axis)
    return values, Grid(values.shape, affine)


def grid_of(shape=(20, 24, 16), spacing=(2.0, 2.0, 2.0), origin=(-31.0, 12.0, 400.0)):
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    return Grid(shape, affine)


def cube_volume(grid=None, low=(3, 5, 9), size=4):
    """Air with a cube of soft tissue; returns Hounsfield units, grid, and the cube's corners."""
    grid = grid or grid_of()
    hu = np.full(grid.shape, -900, dtype=np.float32)
    hu[0, 0, 0] = 60  # no symmetric volume
    x, y, z = low
    hu[x : x + size, y : y + size, z : z + size] = 50
    edges = np.array([low, [x + size, y + size, z + size]], dtype=float) - 0.5
    return hu, grid, grid.to_world(edges)


def write_volume(path: Path, hu, grid) -> Path:
    write_nifti(path, hu.astype(np.float32), grid)
    return path


def write_series(folder: Path, hu, grid, **changes) -> Path:
    """A DICOM series of a volume (X, Y, Z): columns, rows, slices; names are in random order."""
    folder.mkdir(parents=True)
    series, study, frame = generate_uid(), generate_uid(), generate_uid()
    across, down, along = grid.spacing_mm
    axes = grid.affine[:3, :3] / grid.spacing_mm
    names = np.random.default_rng(0).permutation(grid.shape[2])
    for place in range(grid.shape[2]):
        header = pydicom.Dataset()
        header.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        header.SOPInstanceUID = generate_uid()
        header.SeriesInstanceUID, header.StudyInstanceUID = series, study
        header.FrameOfReferenceUID = frame
        header.Modality = "CT"
        header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        header.PatientName, header.PatientID = "Secret^Name", "4711"
        header.InstanceNumber = int(names[place]) + 1
        header.Rows, header.Columns = grid.shape[1], grid.shape[0]
        header.PixelSpacing = [float(down), float(across)]
        header.SliceThickness = float(along)
        header.ImageOrientationPatient = [float(v) for v in (*axes[:, 0], *axes[:, 1])]
        position = grid.to_world(np.array([[0.0, 0.0, place]]))[0]
        header.ImagePositionPatient = [float(v) for v in position]
        header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
        header.BitsAllocated, header.BitsStored, header.HighBit = 16, 12, 11
        header.PixelRepresentation = 0
        header.RescaleSlope, header.RescaleIntercept = 2, -1024
        levels = np.rint((hu[:, :, place].T + 1024) / 2).astype(np.uint16)
        header.PixelData = np.ascontiguousarray(levels).tobytes()
        for name, value in changes.items():
            setattr(header, name, value(place) if callable(value) else value)
        header.file_meta = pydicom.dataset.FileMetaDataset()
        header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
        header.save_as(folder / f"{names[place]:03d}.dcm", enforce_file_format=True)
    return folder
