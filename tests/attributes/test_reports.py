from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from attributes.reports import ReportReader, read_one_report
from data_manifests.support.errors import DataError


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_rows_of_a_study_are_joined_in_order(tmp_path: Path) -> None:
    path = write(
        tmp_path / "r.csv",
        'study_id,section,text\na,findings,"One, two"\na,impression,Three\nb,findings,Four\n',
    )
    reports = list(ReportReader(path))
    assert [(r.study_id, r.sections, r.row) for r in reports] == [
        ("a", (("findings", "One, two"), ("impression", "Three")), 2),
        ("b", (("findings", "Four"),), 4),
    ]


def test_csv_and_parquet_give_the_same_reports(tmp_path: Path) -> None:
    table = pd.DataFrame({"text": ["x\ny", None, "z"], "study_id": ["a", "b", "c"]})
    table.to_csv(tmp_path / "r.csv", index=False)
    table.to_parquet(tmp_path / "r.parquet")
    plain = [(r.study_id, r.sections) for r in ReportReader(tmp_path / "r.csv")]
    assert [(r.study_id, r.sections) for r in ReportReader(tmp_path / "r.parquet")] == plain


def test_a_manifest_folder_is_read_by_its_reports_table(tmp_path: Path) -> None:
    write(tmp_path / "reports.csv", "study_id,section,text\na,findings,Clear\n")
    assert [r.study_id for r in ReportReader(tmp_path)] == ["a"]


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv", b"\xef\xbb\xbfstudy_id,text\r\na,Clear\r\n")
    assert [r.sections for r in ReportReader(path)] == [(("", "Clear"),)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"study_id,text\na,ok\nb,op\xe1cidad\n",
            r"r\.csv row 3, field text: .*0xe1.*--encoding latin-1",
        ),
        (b"study_id,text\n,ok\n", r"row 2, field study_id: expected an identifier, got nothing"),
        (b"study_id,text\na,ok,more\n", r"row 2: expected 2 fields, got 3"),
        (b"study_id,text\na,x\nb,y\na,z\n", r"row 4, field study_id: .*`a` again; sort"),
        (b'study_id,text\na,"x\ny\nz"\n,w\n', r"row 5, field study_id"),
    ],
    ids=["latin-1", "no id", "too many fields", "scattered study", "row after a long text"],
)
def test_a_bad_row_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    reader = ReportReader(write(tmp_path / "r.csv", content))
    list(reader)
    with pytest.raises(DataError, match=message):
        reader.raise_problems()


def test_all_bad_rows_are_reported_and_the_good_ones_kept(tmp_path: Path) -> None:
    reader = ReportReader(write(tmp_path / "r.csv", "study_id,text\n,x\nb,y\n,z\n"))
    assert [r.study_id for r in reader] == ["b"]
    with pytest.raises(DataError, match="2 problems"):
        reader.raise_problems()


@pytest.mark.parametrize("content", ["", "id,report\n1,x\n", "\x00\x01\x02"])
def test_a_table_without_its_columns_is_refused(content: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a column `study_id`"):
        list(ReportReader(write(tmp_path / "r.csv", content)))


def test_latin_1_is_read_when_named(tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv", "study_id,text\na,opacidad mínima\n".encode("latin-1"))
    assert [r.sections for r in ReportReader(path, encoding="latin-1")] == [
        (("", "opacidad mínima"),)
    ]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        ReportReader(tmp_path / "none.csv")
    with pytest.raises(DataError, match=r"reports\.csv"):
        ReportReader(tmp_path)


def test_one_report_comes_from_a_text_file_or_a_study(tmp_path: Path) -> None:
    assert read_one_report(write(tmp_path / "r.txt", "Clear")).sections == (("", "Clear"),)
    table = write(tmp_path / "r.csv", "study_id,text\na,x\nb,y\n")
    assert read_one_report(table, "b").sections == (("", "y"),)
    with pytest.raises(DataError, match="`c`"):
        read_one_report(table, "c")
    with pytest.raises(DataError, match="--study"):
        read_one_report(table)
    with pytest.raises(DataError, match="0xff"):
        read_one_report(write(tmp_path / "bad.txt", b"a\n\xff"))
