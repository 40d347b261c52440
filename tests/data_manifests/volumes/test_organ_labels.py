"""The organ channel: names of any label map as numbers in [0, 1]."""

from __future__ import annotations

import numpy as np
import pytest

from data_manifests.support.errors import DataError
from data_manifests.volumes.organ_labels import ORGANS, organ_of, read_organ_labels
from data_manifests.volumes.volume import LabelMap
from tests.data_manifests.volumes.files import grid_of


def label_map(values, tmp_path):
    values = np.array(values, dtype=np.int64).reshape(1, 1, -1)
    return LabelMap(values, grid_of(values.shape), tmp_path / "labels.nii.gz")


def test_totalsegmentators_labels_are_known(tmp_path):
    labels = read_organ_labels(None)
    assert len(labels.names) == 117
    channel = labels.channel(label_map([0, 14, 51, 92, 116], tmp_path)).ravel()
    organs = ["lung_lower_lobe_right", "heart", "bones", "bones"]
    assert channel == pytest.approx([0] + [(ORGANS.index(o) + 1) / len(ORGANS) for o in organs])


@pytest.mark.parametrize(
    ("name", "organ"),
    [("vertebrae_T4", "bones"), ("kidney_left", "kidneys"), ("urinary_bladder", "other"),
     ("heart_atrium_left", "heart"), ("liver", "liver"), ("lung_vessels_odd", "other")],
)  # fmt: skip
def test_a_label_stands_for_an_organ_by_its_name(name, organ):
    assert organ_of(name) == organ


def test_a_table_of_the_user_names_the_labels(tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text("value,name\n7,liver\n9,Heart\n")
    labels = read_organ_labels(table)
    assert labels.names == {7: "liver", 9: "heart"}
    with pytest.raises(DataError, match="labels of the table, got 8"):
        labels.channel(label_map([0, 7, 8], tmp_path))


@pytest.mark.parametrize("rows", ["0x1,liver", "1,liver\n1,heart", "2,", "-1,liver"])
def test_a_defect_row_of_the_table_is_named(tmp_path, rows):
    table = tmp_path / "labels.csv"
    table.write_text(f"value,name\n{rows}\n")
    with pytest.raises(DataError, match=r"labels.csv row [23]: expected a whole number"):
        read_organ_labels(table)
