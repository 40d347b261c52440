"""Leaks: every planted one is found, nothing else is."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_manifests.support.errors import ConfigError, DataError
from data_manifests.tables.leaks import (
    find_overlap_leaks,
    patients_written_twice,
    refuse_overlap_leaks,
    shared_report_texts,
    split_leaks,
)
from data_manifests.tables.manifest import Manifest, make_manifest
from data_manifests.tables.nih_rsna_overlap import (
    nih_pneumonia_films,
    read_rsna_mapping,
    rsna_overlap,
)
from tests.data_manifests.example_tables import images_table

RSNA = "000fe35a-2649-43d4-b027-e67796d412e{}"


def test_a_thousand_planted_leaks_are_found_and_no_other() -> None:
    generator = np.random.default_rng(0)
    images = images_table(12_000, 3)
    number = images["patient_id"].str[1:].astype(int)
    images["split"] = np.array(["train", "val", "test"])[number % 3]
    planted = generator.choice(4000, 1000, replace=False)
    moved = planted * 3 + generator.integers(0, 3, 1000)
    images.loc[moved, "split"] = [
        {"train": "val", "val": "test", "test": "train"}[split] for split in images["split"][moved]
    ]
    problems = split_leaks(images)
    of_patients = [problem for problem in problems if problem.field == "patient_id"]
    rows = [problem.row - 2 for problem in of_patients if problem.row]
    found = {images["patient_id"][row] for row in rows}
    assert found == {f"p{patient}" for patient in planted}
    assert len(of_patients) == 1000
    assert len([problem for problem in problems if problem.field == "study_id"]) == 1000


def spelled_twice_by_loops(images: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The films that `patients_written_twice` names in its problems and notes, film by film."""
    problems, notes = [], []
    rows = list(zip(images["image_id"], images["patient_id"], images["split"], strict=True))
    known: dict[str, list[tuple[str, str, str]]] = {}
    for row in rows:
        key = unicodedata.normalize("NFKC", row[1]).strip().casefold()
        known.setdefault(key, []).append(row)
    for group in known.values():
        if len({patient for _, patient, _ in group}) > 1:
            second = next(row for row in group if row[1] != group[0][1])
            is_leak = len({split for _, _, split in group} - {""}) > 1
            (problems if is_leak else notes).append(f"films {group[0][0]} and {second[0]},")
    return problems, notes


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_patients_written_twice_are_those_of_slow_loops(seed: int) -> None:
    random = np.random.default_rng(seed)
    spellings = [
        "A1",
        "a1 ",
        "b",
        "\u00c91",
        "E\u03011",
        "e\u03011",
        "stra\u00dfe",
        "STRASSE",
        "B",
        "c",
    ]
    images = images_table(12)
    images["patient_id"] = random.choice(spellings[: 3 * seed], 12)
    images["split"] = random.choice(["train", "train", "val", ""], 12)
    problems, notes = patients_written_twice(images)
    expected = spelled_twice_by_loops(images)
    shown = [[problem.got.split(" whose")[0] for problem in found] for found in (problems, notes)]
    assert shown == list(expected)


def test_unassigned_films_do_not_leak() -> None:
    assert split_leaks(images_table(4, 2, splits=("train", ""))) == []


def films(ids: list[str], patients: list[str], **columns: object) -> Manifest:
    images = images_table(len(ids)).assign(
        image_id=ids, patient_id=patients, study_id=ids, **columns
    )
    return make_manifest(images)


def test_shared_patients_and_files_are_leaks_unless_allowed() -> None:
    train = films(["a", "b"], ["p", "q"], sha256=["1" * 64, ""])
    test = films(["c", "d", "e"], ["q", "r", "s"], sha256=["", "1" * 64, ""])
    problems = find_overlap_leaks(train, test)
    assert [(problem.field, problem.row) for problem in problems] == [
        ("patient_id", 2),
        ("sha256", 3),
    ]
    assert find_overlap_leaks(train, test, allow=["shared-patients", "shared-films"]) == []
    with pytest.raises(DataError, match="2 problems"):
        refuse_overlap_leaks(train, test)
    with pytest.raises(ConfigError, match="nih-rsna"):
        find_overlap_leaks(train, test, allow=["everything"])


def test_nih_films_are_no_test_of_rsna_films_of_unknown_patients() -> None:
    shipped = nih_pneumonia_films().set_index("image_id")
    known = shipped.index[shipped["rsna_overlap"] == "film"][0]
    of_patient = shipped.index[shipped["rsna_overlap"] == "patient"][0]
    rsna = films([RSNA.format(1)], [RSNA.format(1)])
    nih = films([known, of_patient, "00030800_000"], [known[:8], of_patient[:8], "00030800"])
    problems = find_overlap_leaks(rsna, nih)
    assert [problem.got.split(": ")[-1] for problem in problems[:2]] == [
        "its film is",
        "its patient is",
    ]
    assert problems[2].got == "1 NIH films beside 1 RSNA films of unknown patients"
    assert find_overlap_leaks(nih, rsna), "the other way round too"
    assert find_overlap_leaks(rsna, nih, allow=["nih-rsna"]) == []


def test_mapped_rsna_films_are_compared_by_patient() -> None:
    rsna = films([RSNA.format(1), RSNA.format(2)], ["00000001", "00000002"])
    clean = films(["00000003_000"], ["00000003"])
    leaking = films(["00000002_004"], ["00000002"])
    assert find_overlap_leaks(rsna, clean) == []
    assert [problem.field for problem in find_overlap_leaks(rsna, leaking)] == ["patient_id"]
    assert find_overlap_leaks(rsna, leaking, allow=["nih-rsna"]) == []
    nih = films(["00000002_001"], ["00000002"])
    assert find_overlap_leaks(nih, leaking, allow=["nih-rsna"]), "the name covers RSNA only"


def test_the_shipped_list_is_that_of_bbox_list_2017() -> None:
    shipped = nih_pneumonia_films()
    assert len(shipped) == shipped["image_id"].nunique() == 120
    assert shipped["patient_id"].nunique() == 116
    assert (shipped["image_id"].str[:8] == shipped["patient_id"]).all()
    assert (shipped.groupby("patient_id")["split"].nunique() == 1).all()
    assert shipped.drop_duplicates("patient_id")["split"].value_counts().to_dict() == {
        "val": 58,
        "test": 58,
    }
    assert set(shipped["rsna_overlap"]) == {"film", "patient", "unknown"}
    from data_manifests.builders.sources import torchxrayvision_file

    path = torchxrayvision_file("BBox_List_2017.csv.gz")
    if path is not None:
        table = pd.read_csv(path)
        boxed = table.loc[table["Finding Label"] == "Pneumonia", "Image Index"].str[:-4]
        assert sorted(boxed) == sorted(shipped["image_id"])


def test_the_mapping_tells_film_patient_or_none(tmp_path: Path) -> None:
    shipped = nih_pneumonia_films()
    first, second = shipped["image_id"][0], shipped["image_id"][5]
    entries = [
        {"subset_img_id": "r0", "img_id": f"{first}.png", "orig_labels": ["Pneumonia"]},
        {"subset_img_id": "r1", "img_id": f"{second[:8]}_099.png"},
        {"subset_img_id": "held-out", "img_id": f"{shipped['image_id'][9]}.png"},
    ]
    path = tmp_path / "pneumonia-challenge-dataset-mappings_2018.json"
    path.write_text(json.dumps(entries))
    overlap = rsna_overlap(read_rsna_mapping(path), {"r0", "r1"}).set_index("image_id")
    assert overlap["rsna_overlap"][first] == "film"
    assert overlap["rsna_overlap"][second] == "patient"
    assert overlap["rsna_overlap"].value_counts()["none"] >= 110
    table = tmp_path / "mapping.csv"
    table.write_text(f"rsna_id,nih_image\nr0,{first}.png\n")
    assert read_rsna_mapping(table) == {"r0": first}


@pytest.mark.parametrize("content", ["", "{}", '[{"a": 1}]', "[1]", '["x"]'])
def test_a_foreign_mapping_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "mapping.json"
    path.write_text(content)
    if content == "{}":
        assert read_rsna_mapping(path) == {}
        return
    with pytest.raises(DataError, match=r"mapping\.json"):
        read_rsna_mapping(path)


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ("p", "p ", "a space"),
        ("Ab1", "aB1", "case"),
        ("Jos\u00e9", "Jose\u0301", "NFC and NFD"),
    ],
)
def test_one_patient_under_two_spellings_is_a_leak_between_splits(first, second, reason):
    images = images_table(4, splits=["train", "test", "train", "train"])
    images["patient_id"] = [first, second, "other", "third"]
    problems, notes = patients_written_twice(images)
    assert [problem.row for problem in problems] == [3], reason
    assert notes == []
    assert "f0 and f1" in problems[0].got
    assert first.strip() not in problems[0].got.split()
    images["split"] = "train"
    problems, notes = patients_written_twice(images)
    assert (problems, [note.row for note in notes]) == ([], [3])


def test_patients_of_different_names_are_left_alone():
    assert patients_written_twice(images_table(50, films_per_patient=2)) == ([], [])


def test_a_long_report_in_two_splits_is_noted():
    images = images_table(4, splits=["train", "train", "test", "val"])
    long = "Patchy opacity in the right lower zone, with air bronchograms. " * 5
    texts = [long, "Normal.", long, "Normal."]
    reports = pd.DataFrame({"study_id": images["study_id"], "section": "", "text": texts})
    (note,) = shared_report_texts(images, reports)
    assert note.got == "1 held-out studies with a text of the training split, the first 's2'"
    assert shared_report_texts(images, reports.iloc[:2]) == []
