"""`check_manifest`: counts, films, duplicates and leaks in one report."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from data_manifests.support.atomic import file_sha256
from data_manifests.support.errors import DataError
from data_manifests.tables.check import check_manifest
from data_manifests.tables.manifest import ManifestInfo, make_manifest, write_manifest
from tests.data_manifests.example_tables import boxes_table, images_table, write_films
from tests.data_manifests.film_files import ramp, write_jpeg, write_png


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four sound films of four patients: train, train, val, test."""
    images = images_table(4, splits=("train", "train", "val", "test"))
    write_films(tmp_path, images)
    images["sha256"] = [file_sha256(tmp_path / path) for path in images["path"]]
    write_manifest(
        make_manifest(images, boxes_table(["f0", "f3"]), info=ManifestInfo(image_root="..")),
        tmp_path / "m",
    )
    return tmp_path / "m"


def edit(folder: Path, row: int, **values: object) -> None:
    table = pd.read_csv(folder / "images.csv", dtype=str, keep_default_na=False)
    for name, value in values.items():
        table.loc[row, name] = str(value)
    table.to_csv(folder / "images.csv", index=False)


def test_a_sound_manifest_has_counts_and_no_problems(folder: Path) -> None:
    report = check_manifest(folder, read_films=True)
    assert report.is_sound
    assert report.notes == ()
    assert report.counts["films"] == report.counts["patients"] == 4
    assert report.counts["boxes"] == report.counts["films_with_boxes"] == 2
    assert report.films_by_split == {"train": 2, "val": 1, "test": 1}
    report.raise_problems()


def test_missing_damaged_and_changed_films_are_all_named(folder: Path) -> None:
    films = folder.parent / "films"
    (films / "f0.png").unlink()
    (films / "f1.png").write_bytes((films / "f1.png").read_bytes()[:60])
    write_png(films / "f2.png", ramp(40, 48))
    edit(folder, 3, sha256="0" * 64)
    report = check_manifest(folder, read_films=True)
    found = {(problem.row, problem.field) for problem in report.problems}
    assert found == {(2, "path"), (3, "path"), (4, "width,height"), (4, "sha256"), (5, "sha256")}
    assert "48 x 40" in str(report.problems[2])
    without_reading = check_manifest(folder)
    assert [problem.row for problem in without_reading.problems] == [2]
    assert check_manifest(folder, find_films=False).is_sound
    with pytest.raises(DataError, match="5 problems"):
        report.raise_problems()


def test_films_outside_the_root_are_problems(folder: Path) -> None:
    (folder.parent / "films/f1.png").unlink()
    (folder.parent / "films/f1.png").symlink_to("/etc/hostname")
    report = check_manifest(folder, read_films=True)
    assert [(problem.row, problem.field) for problem in report.problems] == [(3, "path")]
    assert "inside the image root" in report.problems[0].expected


def test_a_wrong_image_root_is_one_problem(folder: Path) -> None:
    report = check_manifest(folder, folder.parent / "nowhere")
    assert [problem.field for problem in report.problems] == ["image_root"]


def test_one_film_under_two_ids_is_found_by_its_file(folder: Path) -> None:
    digest = pd.read_csv(folder / "images.csv")["sha256"][0]
    edit(folder, 3, sha256=digest)
    report = check_manifest(folder, find_films=False)
    assert [(problem.row, problem.field) for problem in report.problems] == [(5, "sha256")]
    assert "f3 equal to f0 (row 2)" in report.problems[0].got


@pytest.mark.parametrize("same_patient", [True, False])
def test_one_film_under_two_ids_is_found_by_its_pixels(folder: Path, same_patient: bool) -> None:
    levels = ramp()
    write_png(folder.parent / "films/f0.png", levels)
    write_png(folder.parent / "films/f1.png", levels * 257, "I;16")
    for row in (0, 1):
        edit(folder, row, sha256="")
    if same_patient:
        edit(folder, 1, patient_id="p0")
    report = check_manifest(folder, read_films=True)
    found = report.notes if same_patient else report.problems
    assert [(problem.row, problem.field) for problem in found] == [(3, "path")]
    assert "f1 equal to f0 (row 2)" in found[0].got
    assert report.is_sound == same_patient


def test_a_film_that_only_looks_alike_is_no_duplicate(folder: Path) -> None:
    write_jpeg(folder.parent / "films/f1.jpg", ramp())
    edit(folder, 1, path="films/f1.jpg", sha256="")
    assert check_manifest(folder, read_films=True).is_sound


def test_leaks_and_table_problems_are_in_one_report(folder: Path) -> None:
    edit(folder, 3, patient_id="p0")
    edit(folder, 1, split="dev", width="x")
    report = check_manifest(folder, find_films=False)
    assert [(problem.row, problem.field) for problem in report.problems] == [
        (3, "split"),
        (3, "width"),
        (5, "patient_id"),
    ]


def test_a_missing_column_is_reported_alone(folder: Path) -> None:
    pd.read_csv(folder / "images.csv").drop(columns="study_id").to_csv(
        folder / "images.csv", index=False
    )
    report = check_manifest(folder)
    assert [(problem.row, problem.field) for problem in report.problems] == [(1, "study_id")]


def test_reports_without_films_are_noted(folder: Path) -> None:
    (folder / "reports.csv").write_text("study_id,section,text\ns0,,a\ns8,,b\ns9,,c\n")
    report = check_manifest(folder)
    assert report.is_sound
    assert "2 studies without a film" in report.notes[0].got


def test_the_nih_rsna_overlap_is_refused_unless_named(folder: Path) -> None:
    edit(folder, 0, image_id="000fe35a-2649-43d4-b027-e67796d412e0")
    edit(folder, 3, image_id="00000013_005", patient_id="00000013")
    (folder / "boxes.csv").write_text("image_id,x1,y1,x2,y2\n")
    assert [problem.field for problem in check_manifest(folder).problems] == ["patient_id"]
    assert check_manifest(folder, allow=("nih-rsna",)).is_sound


def test_boxes_read_in_parts_give_the_report_of_the_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every kind of bad box, in different parts; the films of the boxes are in no order."""
    (folder / "boxes.csv").write_text(
        "image_id,x1,y1,x2,y2\n"
        "f2,1,1,5,5\nf0,1,1,5,5\nnobody,1,1,5,5\nf1,no,1,5,5\nf1,5,1,1,5\n"
        "f0,1,5,5,1\nf3,1,1,9999,5\nf0,1,1,5,5\nnobody,1,inf,5,5\nf2,7,1,7,5\n"
    )
    reports = []
    for rows in (1, 3, 1000):
        monkeypatch.setattr("data_manifests.tables.check.PART_ROWS", rows)
        reports.append(check_manifest(folder, find_films=False))
    assert reports[0] == reports[1] == reports[2]
    places = [(problem.row, problem.field) for problem in reports[0].problems]
    assert places == [
        (4, "image_id"), (10, "image_id"), (5, "x1"), (10, "y1"), (6, "x2"), (11, "x2"),
        (7, "y2"), (8, "x1,y1,x2,y2"),
    ]  # fmt: skip
    assert reports[0].counts["boxes"] == 10
    assert reports[0].counts["films_with_boxes"] == 5  # four films, and the unknown one


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_hundred_thousand_films_take_seconds_and_linear_time(tmp_path: Path, kind: str) -> None:
    seconds = []
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # of tests before this one, too
    for count in (50_000, 100_000):
        folder = tmp_path / str(count)
        folder.mkdir()
        images = images_table(count, 4).assign(sha256=[f"{n:064x}" for n in range(count)])
        images["split"] = np.array(["train", "val"])[(np.arange(count) // 4) % 2]
        boxes = boxes_table(images["image_id"].to_list())
        for name, table in (("images", images), ("boxes", boxes)):
            path = folder / f"{name}.{kind}"
            table.to_csv(path, index=False) if kind == "csv" else table.to_parquet(path)
        start = time.process_time()
        assert check_manifest(folder, find_films=False).is_sound
        seconds.append(time.process_time() - start)
    assert seconds[1] < 5
    assert seconds[1] < 4 * seconds[0] + 0.5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 1024**2  # 1 GiB
