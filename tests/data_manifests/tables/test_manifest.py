"""The manifest contract: what is read, written, refused and kept."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import data_manifests.tables.manifest as module
from data_manifests.support.errors import DataError
from data_manifests.tables.manifest import (
    ManifestInfo,
    make_manifest,
    read_manifest,
    write_manifest,
    write_with_split,
)
from data_manifests.tables.table_file import read_table
from tests.data_manifests.example_tables import boxes_table, images_table, small_manifest


def full_manifest() -> module.Manifest:
    reports = pd.DataFrame(
        {"study_id": ["s0", "s9"], "section": ["findings", ""], "text": ['a, "b"\nc', "ü"]}
    )
    labels = pd.DataFrame({"image_id": ["f1", "f0"], "severity": ["3.5", ""], "sex": ["F", "M"]})
    info = ManifestInfo("nih", "/films", {"only_boxed": True}, {"a.csv": "0" * 64})
    boxes = boxes_table(["f0", "f0", "f2"]).assign(label="opacity", extra=[1, 2, 3])
    return make_manifest(images_table(), boxes, reports, labels, info=info)


@pytest.mark.parametrize("parquet_rows", [100_000, 0])
def test_a_manifest_comes_back_as_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parquet_rows: int
) -> None:
    monkeypatch.setattr("data_manifests.tables.table_file.PARQUET_ROWS", parquet_rows)
    manifest = full_manifest()
    write_manifest(manifest, tmp_path / "m")
    assert (tmp_path / "m/images.parquet").exists() == (parquet_rows == 0)
    back = read_manifest(tmp_path / "m")
    assert back.info == manifest.info
    assert back.root == Path("/films")
    for name in ("images", "boxes", "reports", "labels"):
        pd.testing.assert_frame_equal(
            getattr(back, name), getattr(manifest, name), check_dtype=False
        )
    assert back.labels["severity"].dtype == np.float64
    assert math.isnan(back.labels["severity"][1])


def test_writing_again_replaces_the_other_kind_of_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_manifest(small_manifest(), tmp_path)
    monkeypatch.setattr("data_manifests.tables.table_file.PARQUET_ROWS", 0)
    write_manifest(small_manifest(), tmp_path)
    assert not (tmp_path / "images.csv").exists()
    assert len(read_manifest(tmp_path).images) == 4
    assert sorted(path.suffix for path in tmp_path.iterdir()).count(".tmp") == 0


@pytest.mark.faults
def test_a_failure_while_writing_leaves_the_old_manifest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_manifest(small_manifest(), tmp_path / "m")
    before = {path.name: path.read_bytes() for path in (tmp_path / "m").iterdir()}

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_json", full_disk)
    for folder in ("m", "new"):
        with pytest.raises(OSError, match="No space"):
            write_manifest(small_manifest(8), tmp_path / folder)
    assert {path.name: path.read_bytes() for path in (tmp_path / "m").iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["m"], "nothing half-written"


def test_only_images_csv_with_four_columns_is_legal(tmp_path: Path) -> None:
    text = "image_id,patient_id,study_id,path\n007,1,1,a.png\nNA,2,2,null.png\n"
    (tmp_path / "images.csv").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    manifest = read_manifest(tmp_path)
    assert manifest.images["image_id"].to_list() == ["007", "NA"], "ids are text"
    assert manifest.images["path"][1] == "null.png"
    assert manifest.images["width"].isna().all()
    assert manifest.boxes.empty
    assert manifest.root == tmp_path


def write_tables(folder: Path, **tables: str) -> Path:
    defaults = {
        "images": "image_id,patient_id,study_id,path,width,height,split\n"
        "f0,p0,s0,a.png,48,32,train\nf1,p1,s1,b.png,48,32,test\n"
    }
    for name, text in {**defaults, **tables}.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder


HEAD = "image_id,patient_id,study_id,path,width,height,split\n"
BOX = "image_id,x1,y1,x2,y2\n"


@pytest.mark.parametrize(
    ("tables", "where", "what"),
    [
        ({"images": "image_id,path\nf0,a\n"}, "images.csv row 1, field patient_id", "only"),
        ({"images": HEAD}, "images.csv", "no rows"),
        ({"images": HEAD + ",p,s,a,,,\n"}, "images.csv row 2, field image_id", "''"),
        (
            {"images": HEAD + "f,p,s,a,,,\nf,p,s,b,,,\n"},
            "images.csv row 3, field image_id",
            "'f'",
        ),
        ({"images": HEAD + "f,p,s,/a,,,\n"}, "images.csv row 2, field path", "'/a'"),
        ({"images": HEAD + "f,p,s,C:\\a,,,\n"}, "images.csv row 2, field path", "C:"),
        ({"images": HEAD + "f,p,s,a/../../b,,,\n"}, "images.csv row 2, field path", "b'"),
        ({"images": HEAD + "f,p,s,a,0,9,\n"}, "images.csv row 2, field width", "'0'"),
        ({"images": HEAD + "f,p,s,a,9,2.5,\n"}, "images.csv row 2, field height", "'2.5'"),
        ({"images": HEAD + "f,p,s,a,9,x,\n"}, "images.csv row 2, field height", "'x'"),
        ({"images": HEAD + "f,p,s,a,,,dev\n"}, "images.csv row 2, field split", "'dev'"),
        (
            {"images": HEAD + "f,p,s,a,,,\ng,q,s,b,,,\n"},
            "images.csv row 3, field patient_id",
            "'film g'",
        ),
        ({"boxes": BOX + "f9,1,1,2,2\n"}, "boxes.csv row 2, field image_id", "'f9'"),
        ({"boxes": "image_id,x1,y1,x2\n"}, "boxes.csv row 1, field y2", "only"),
        ({"boxes": BOX + "f0,1,1,1,2\n"}, "boxes.csv row 2, field x2", "1"),
        ({"boxes": BOX + "f0,1,1,2,2\nf0,1,9,2,2\n"}, "boxes.csv row 3, field y2", "2"),
        ({"boxes": BOX + "f0,-1,1,2,2\n"}, "boxes.csv row 2, field x1,y1,x2,y2", "-1,1,2,2"),
        ({"boxes": BOX + "f0,1,1,49,2\n"}, "boxes.csv row 2, field x1,y1,x2,y2", "49"),
        ({"boxes": BOX + "f0,1,,2,2\n"}, "boxes.csv row 2, field y1", "''"),
        ({"boxes": BOX + "f0,1,1,nan,2\n"}, "boxes.csv row 2, field x2", "'nan'"),
        ({"boxes": BOX + "f0,1,1,inf,2\n"}, "boxes.csv row 2, field x2", "'inf'"),
        ({"boxes": BOX + "f0,1,1,2 px,2\n"}, "boxes.csv row 2, field x2", "'2 px'"),
        ({"labels": "image_id\nf9\n"}, "labels.csv row 2, field image_id", "'f9'"),
        ({"labels": "image_id,a\nf0,1\nf0,2\n"}, "labels.csv row 3, field image_id", "'f0'"),
        ({"reports": "study_id,text\n,x\n"}, "reports.csv row 2, field study_id", "''"),
        ({"reports": "study_id,text\ns0,a\x00b\n"}, "reports.csv", "expected"),
        ({"reports": "study_id\ns0\n"}, "reports.csv row 1, field text", "only"),
        ({"images": "a,b\n1,2,3,4\n5,6\n"}, "images.csv", "expected"),
        ({"images": ""}, "images.csv", "CSV table"),
    ],
)
def test_a_bad_table_names_file_row_and_field(
    tmp_path: Path, tables: dict[str, str], where: str, what: str
) -> None:
    with pytest.raises(DataError) as caught:
        read_manifest(write_tables(tmp_path, **tables))
    first = str(caught.value.problems[0])
    assert where in first
    assert what in first


def test_all_problems_are_collected_and_twenty_are_shown(tmp_path: Path) -> None:
    rows = "".join(f"f0,{x},5,{x},9\n" for x in range(30))
    with pytest.raises(DataError) as caught:
        read_manifest(write_tables(tmp_path, boxes=BOX + rows, labels="image_id\nf9\n"))
    assert len(caught.value.problems) == 31
    assert str(caught.value).startswith("31 problems")
    assert "and 11 more" in str(caught.value)


def test_folders_that_are_no_manifest_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        read_manifest(tmp_path / "none")
    with pytest.raises(DataError, match="no such file"):
        read_manifest(tmp_path)
    write_tables(tmp_path)
    (tmp_path / "images.parquet").write_bytes(b"x")
    with pytest.raises(DataError, match="both"):
        read_manifest(tmp_path)
    (tmp_path / "images.csv").unlink()
    with pytest.raises(DataError, match="a parquet table"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"format_version": 2}', '{"format_version": "1"}', "{1"]
)
def test_a_foreign_manifest_json_is_refused(tmp_path: Path, content: str) -> None:
    write_tables(tmp_path)
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(DataError, match=r"manifest\.json"):
        read_manifest(tmp_path)


@pytest.mark.faults
def test_paths_never_leave_the_image_root(tmp_path: Path) -> None:
    root = tmp_path / "films"
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/a.png").write_bytes(b"x")
    root.mkdir()
    os.symlink(tmp_path / "secret", root / "folder_link")
    os.symlink(tmp_path / "secret/a.png", root / "file_link.png")
    (root / "real.png").write_bytes(b"x")
    os.symlink(root / "real.png", root / "inner_link.png")
    for path, is_inside in (
        ("folder_link/a.png", False),
        ("file_link.png", False),
        ("inner_link.png", True),
        ("real.png", True),
    ):
        images = images_table(1).assign(path=path)
        manifest = make_manifest(images, info=ManifestInfo(image_root=str(root)))
        if is_inside:
            assert manifest.film_paths() == [(root / "real.png").resolve()]
        else:
            with pytest.raises(DataError, match="inside the image root"):
                manifest.film_paths()


def test_a_subset_keeps_what_belongs_to_its_films() -> None:
    manifest = full_manifest()
    part = manifest.subset(manifest.images["image_id"] == "f0")
    assert len(part.boxes) == 2
    assert part.reports["study_id"].to_list() == ["s0"]
    assert part.labels["image_id"].to_list() == ["f0"]
    assert len(manifest.boxes) == 3


def test_boxes_of_a_film() -> None:
    manifest = full_manifest()
    assert len(manifest.boxes_of("f0")) == 2
    assert len(manifest.boxes_of("f1")) == 0
    assert manifest.boxes_by_image()["f2"].tolist() == [[4.5, 3.0, 20.0, 30.25]]
    with pytest.raises(DataError, match="a film of the manifest"):
        manifest.boxes_of("f9")
    unknown = make_manifest(images_table(1).drop(columns=["width", "height"]))
    with pytest.raises(DataError, match="blank"):
        unknown.boxes_of("f0")


def test_an_empty_split_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(DataError, match="manifest split"):
        small_manifest().split("val")


def test_manifest_json_is_plain(tmp_path: Path) -> None:
    write_manifest(full_manifest(), tmp_path / "m")
    content = json.loads((tmp_path / "m/manifest.json").read_text())
    assert content["format_version"] == 1
    assert content["options"] == {"only_boxed": True}


@pytest.mark.parametrize(
    "index", [None, pd.RangeIndex(3, 6), pd.Index(["x", "y", "z"], name="row")]
)
def test_a_parquet_table_is_read_as_pandas_reads_it(tmp_path: Path, index: pd.Index | None) -> None:
    table = pd.DataFrame(
        {"image_id": ["a", "b", None], "a.b": [1, 2, 3], "a": [0.5, np.nan, 1.0]}, index=index
    )
    table["width"] = pd.array([1, None, 3], dtype="Int64")
    table["split"] = pd.Categorical(["train", "val", "train"])
    path = tmp_path / "images.parquet"
    for content in (table, table.iloc[:0]):
        content.to_parquet(path)
        expected = pd.read_parquet(path).reset_index(drop=True)
        pd.testing.assert_frame_equal(read_table(tmp_path, "images"), expected)


def test_columns_left_out_are_blank_and_an_error_names_them_all(tmp_path: Path) -> None:
    write_manifest(full_manifest(), tmp_path / "m")
    whole = read_manifest(tmp_path / "m")
    without = {"images": ("view", "sha256"), "boxes": ("label", "extra")}
    part = read_manifest(tmp_path / "m", without=without)
    expected = whole.images.assign(view="", sha256="")
    pd.testing.assert_frame_equal(part.images, expected)
    pd.testing.assert_frame_equal(part.boxes, whole.boxes.assign(label="").drop(columns="extra"))
    table = pd.read_csv(tmp_path / "m/images.csv").drop(columns="study_id")
    table.to_csv(tmp_path / "m/images.csv", index=False)
    messages = []
    for left_out in ({}, without):
        with pytest.raises(DataError) as raised:
            read_manifest(tmp_path / "m", without=left_out)
        messages.append(str(raised.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("parquet_rows", [100_000, 0])
def test_a_table_at_a_time_is_written_as_all_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parquet_rows: int
) -> None:
    monkeypatch.setattr("data_manifests.tables.table_file.PARQUET_ROWS", parquet_rows)
    manifest = full_manifest()
    write_manifest(manifest, tmp_path / "m")
    split = pd.Series(["val", "", "test", "train"], dtype="str")
    write_with_split(tmp_path / "m", split, manifest.info, tmp_path / "n")
    images = manifest.images.assign(split=split)
    write_manifest(dataclasses.replace(manifest, images=images), tmp_path / "expected")
    for path in (tmp_path / "expected").iterdir():
        assert (tmp_path / "n" / path.name).read_bytes() == path.read_bytes()
    assert len(list((tmp_path / "n").iterdir())) == 5
