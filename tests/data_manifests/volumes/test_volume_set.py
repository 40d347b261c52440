"""Sets of volumes: tables that come back, phantom volumes, ReXGroundingCT's layout."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pandas as pd
import pytest

from data_manifests.phantom_volumes.generate import (
    PhantomVolumeOptions,
    build_phantom_volumes,
    make_phantom_volume,
)
from data_manifests.support.errors import ConfigError, DataError
from data_manifests.volumes.nifti import read_label_map
from data_manifests.volumes.read_volume import read_anatomy, read_volume
from data_manifests.volumes.rexgrounding import build_rexgrounding
from data_manifests.volumes.volume_set import read_volume_set
from tests.data_manifests.volumes.files import cube_volume, write_volume

OPTIONS = PhantomVolumeOptions(seed=1, spacing_mm=10)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    return build_phantom_volumes(tmp_path_factory.mktemp("set"), OPTIONS, volumes=4)


def test_the_tables_come_back_as_they_were(phantom):
    read = read_volume_set(phantom.folder)
    assert read.volumes == phantom.volumes
    assert read.labels == phantom.labels


def test_regions_lie_where_the_report_says(phantom):
    """A nodule's region is in its lobe, an effusion in its lung, a cyst in the liver."""
    checked = 0
    for item in phantom.volumes:
        volume = read_volume(phantom.folder / item.path)
        organs = read_anatomy(phantom.folder / item.anatomy, volume).values
        for one in item.anomalies:
            assert item.report[one.start : one.end].strip()
            if not one.mask or one.type == "lymph node":
                continue
            inside = read_label_map(phantom.folder / one.mask).values == one.value
            names = [phantom.labels.names[k] for k in organs[inside] if k]
            side = [word for word in ("right", "left") if word in one.place.split()]
            assert all(any(word in name for name in names) for word in side)
            if one.organ in ("liver", "aorta"):
                assert set(names) == {one.organ}
            checked += 1
    assert checked >= 5


def test_a_phantom_volume_is_the_same_whatever_is_made_beside_it():
    one, two = make_phantom_volume(OPTIONS, 2), make_phantom_volume(OPTIONS, 2)
    assert (one.hu == two.hu).all()
    assert one.report.text == two.report.text
    assert make_phantom_volume(OPTIONS, 3).report.text != one.report.text


def test_planted_anomalies_change_the_density_of_their_voxels():
    seen = set()
    for index in range(12):
        volume = make_phantom_volume(OPTIONS, index)
        for one in volume.planted:
            seen.add(one.type)
            inside = float(np.median(volume.hu[one.mask]))
            if one.type in ("nodule", "consolidation", "effusion"):
                assert inside > -250  # lung is -830
            if one.type == "calcification":
                assert inside > 150
    assert len(seen) >= 6


def test_right_and_left_follow_the_patient():
    """LPS: the patient's right lung has the smaller x."""
    volume = make_phantom_volume(OPTIONS, 0)
    right, left = (np.argwhere(volume.labels == k)[:, 0].mean() for k in (1, 4))
    assert right < left


def test_no_phantom_volume_is_a_wrong_option(tmp_path):
    with pytest.raises(ConfigError, match="at least 1"):
        build_phantom_volumes(tmp_path, volumes=0)
    with pytest.raises(ConfigError, match="spacing of 1 to 10"):
        PhantomVolumeOptions(spacing_mm=20)


@pytest.mark.parametrize(
    ("table", "column", "value", "message"),
    [
        ("volumes", "split", "training", "train, val, test or blank, got training"),
        ("volumes", "path", "../x.nii.gz", "a path below the set's folder"),
        ("volumes", "volume_id", "", "an id of its own"),
        ("anomalies", "volume_id", "nobody", "an id of volumes.csv"),
        ("anomalies", "end", "99999", "characters of a report"),
        ("anomalies", "assertion", "maybe", "present or absent"),
        ("anomalies", "mask", "/etc/passwd", "a path below the set's folder"),
    ],
)
def test_a_bad_row_is_named(phantom, tmp_path, table, column, value, message):
    for name in ("volumes", "anomalies", "labels"):
        rows = pd.read_csv(phantom.folder / f"{name}.csv", dtype=str, keep_default_na=False)
        if name == table:
            rows.loc[0, column] = value
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
    with pytest.raises(
        DataError, match=f"row 2, field {column}.*{message}|row 2, field .*{message}"
    ):
        read_volume_set(tmp_path)


def test_a_folder_that_is_no_set_is_refused(tmp_path):
    with pytest.raises(DataError, match="a table of a volume set, got no such file"):
        read_volume_set(tmp_path)


@pytest.fixture
def published(tmp_path):
    """Folders in the layout of CT-RATE and ReXGroundingCT, with two volumes."""
    hu, grid, _ = cube_volume()
    ct, rex = tmp_path / "CT-RATE", tmp_path / "rex"
    (rex / "segmentations").mkdir(parents=True)
    for name, folder in (("train_1_a_1", "train_fixed"), ("valid_7_b_2", "valid_fixed")):
        split, patient, scan, _ = name.split("_")
        parent = ct / "dataset" / folder / f"{split}_{patient}" / f"{split}_{patient}_{scan}"
        parent.mkdir(parents=True)
        write_volume(parent / f"{name}.nii.gz", hu, grid)
        channels = np.zeros((2, *grid.shape), np.uint8)
        channels[0, 3:7, 5:9, 9:13] = 1
        channels[1, 10:12, 5:9, 9:13] = 1
        affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ grid.affine
        nibabel.Nifti1Image(channels, affine).to_filename(rex / "segmentations" / f"{name}.nii.gz")
    findings = {"0": "8 mm nodule in the right upper lobe", "1": "Consolidation in the lingula."}
    (rex / "dataset.json").write_text(
        json.dumps(
            {
                "train": [{"name": "train_1_a_1.nii.gz", "findings": findings}],
                "val": [{"name": "valid_7_b_2.nii.gz", "findings": findings}],
            }
        )
    )
    return ct, rex


def test_the_published_sets_become_a_set_with_a_channel_for_each_finding(published, tmp_path):
    ct, rex = published
    build_rexgrounding(ct, rex, tmp_path / "set")
    read = read_volume_set(tmp_path / "set")
    assert [(v.volume_id, v.patient_id, v.split) for v in read.volumes] == [
        ("train_1_a_1", "train_1", "train"),
        ("valid_7_b_2", "valid_7", "val"),
    ]
    first, second = read.volumes[0].anomalies
    report = read.volumes[0].report
    assert report[second.start : second.end] == "Consolidation in the lingula."
    mask = read_label_map(read.folder / second.mask, channel=second.value)
    assert first.is_channel
    assert np.argwhere(mask.values).min(axis=0).tolist() == [10, 5, 9]
    assert mask.grid.same_as(read_volume(read.folder / read.volumes[0].path).grid)


def test_a_missing_volume_or_mask_of_the_published_sets_is_named(published, tmp_path):
    ct, rex = published
    next(ct.rglob("train_1_a_1.nii.gz")).unlink()
    (rex / "segmentations" / "valid_7_b_2.nii.gz").unlink()
    with pytest.raises(DataError, match=r"(?s)train_1_a_1.*CT-RATE.*valid_7_b_2.*segmentations"):
        build_rexgrounding(ct, rex, tmp_path / "set")


@pytest.mark.parametrize(
    "content",
    ["[]", "{", '{"other": []}', '{"train": [{"name": "../x.nii.gz", "findings": {}}]}',
     '{"train": [{"name": "train_1_a_1.nii.gz", "findings": {"a": "b"}}]}'],
)  # fmt: skip
def test_a_dataset_json_of_another_form_is_refused(published, tmp_path, content):
    ct, rex = published
    (rex / "dataset.json").write_text(content)
    with pytest.raises(DataError, match=r"dataset.json: expected a map of splits"):
        build_rexgrounding(ct, rex, tmp_path / "set")
