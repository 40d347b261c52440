"""`OrganLabels`: which number of a label map is which organ, and the channel a network sees.

Label maps come from any segmentation; a table `value,name` names its labels. Names of
TotalSegmentator's task `total` (Wasserthal et al. 2023) are known; parts that our reports do not
tell apart (single ribs, vertebrae) are one organ.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np

from data_manifests.support.arrays import Floats32
from data_manifests.support.csv_file import read_text_csv
from data_manifests.support.errors import DataError, Problem
from data_manifests.volumes.volume import LabelMap

# The organs of the channel, in the order of their grey levels; 0 is background.
ORGANS = (
    "lung_upper_lobe_right",
    "lung_middle_lobe_right",
    "lung_lower_lobe_right",
    "lung_upper_lobe_left",
    "lung_lower_lobe_left",
    "trachea",
    "esophagus",
    "heart",
    "aorta",
    "pulmonary_vessels",
    "thyroid",
    "bones",
    "liver",
    "gallbladder",
    "spleen",
    "stomach",
    "pancreas",
    "adrenals",
    "kidneys",
    "bowel",
    "muscles",
    "other",
)
# Patterns of TotalSegmentator's names that stand for one of `ORGANS`.
SAME_ORGAN = {
    r"heart.*|atrial_appendage_left|pericardium": "heart",
    r"pulmonary_(vein|artery|vessels)|superior_vena_cava|brachiocephalic.*": "pulmonary_vessels",
    r"subclavian.*|common_carotid.*": "pulmonary_vessels",
    r"rib_.*|vertebrae_.*|sternum|scapula_.*|clavicula_.*|costal_cartilages": "bones",
    r"humerus_.*|sacrum|hip_.*|femur_.*|spinal_cord|skull": "bones",
    r"thyroid_gland": "thyroid",
    r"adrenal_gland_.*": "adrenals",
    r"kidney_.*": "kidneys",
    r"small_bowel|duodenum|colon": "bowel",
    r"autochthon_.*|iliopsoas_.*|gluteus_.*": "muscles",
}


@dataclass(frozen=True)
class OrganLabels:
    """The names of a label map's values."""

    names: dict[int, str]

    def channel(self, labels: LabelMap) -> Floats32:
        """Every voxel's organ as a number in [0, 1] (section 3.4), float32 (X, Y, Z).

        Raises:
            DataError: a value of the map without a name.
        """
        values = labels.values
        present = np.flatnonzero(np.bincount(values.ravel()))
        unknown = [int(value) for value in present if value and int(value) not in self.names]
        if unknown:
            shown = ", ".join(str(value) for value in unknown[:5])
            raise DataError.from_problems(
                [Problem(labels.path.name, "labels of the table", f"{shown}", fix="name them")]
            )
        table = np.zeros(int(present.max(initial=0)) + 1, dtype=np.float32)
        for value in present[present > 0]:
            table[value] = (ORGANS.index(organ_of(self.names[int(value)])) + 1) / len(ORGANS)
        return np.asarray(table[values])


def organ_of(name: str) -> str:
    """The organ of `ORGANS` that a label's name stands for; `other` for a name not known."""
    if name in ORGANS:
        return name
    for pattern, organ in SAME_ORGAN.items():
        if re.fullmatch(pattern, name):
            return organ
    return "other"


def read_organ_labels(path: Path | None) -> OrganLabels:
    """A table with the columns `value` and `name`; TotalSegmentator's where there is none.

    Raises:
        DataError: another table, a value that is no positive whole number or stands twice.
    """
    if path is None:
        resource = resources.files("data_manifests.tables") / "totalsegmentator_labels.csv"
        with resources.as_file(resource) as packaged:
            return read_organ_labels(packaged)
    table = read_text_csv(path)
    if list(table.columns[:2]) != ["value", "name"]:
        problem = Problem(path.name, "the columns value,name", ",".join(map(str, table.columns)))
        raise DataError.from_problems([problem])
    names: dict[int, str] = {}
    problems = []
    for row, (value, name) in enumerate(zip(table["value"], table["name"], strict=True), start=2):
        if not value.isascii() or not value.isdigit() or int(value) in names or not name.strip():
            problems.append(
                Problem(
                    path.name, "a whole number of its own and a name", f"{value!r}, {name!r}", row
                )
            )
        else:
            names[int(value)] = name.strip().lower()
    if problems:
        raise DataError.from_problems(problems)
    return OrganLabels(names)
