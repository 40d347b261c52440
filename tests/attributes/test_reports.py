from __future__ import annotations

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest

from attributes.report_rows import ReportColumns
from attributes.reports import ReportReader, read_one_report
from data_manifests.support.errors import ConfigError, DataError


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


@pytest.mark.parametrize("content", ["", "id,report\n1,x\n"])
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


ROWS = [("a", (("", "Left opacity, new"),)), ("b", (("", "Clear"),))]
TABLE = 'study_id,text\na,"Left opacity, new"\nb,Clear\n'
FORMATS = {
    "r.csv.gz": gzip.compress(TABLE.encode()),
    "r.tsv": b"study_id\ttext\na\tLeft opacity, new\nb\tClear\n",
    "semicolons.csv": b"study_id;text\na;Left opacity, new\nb;Clear\n",
    "windows.csv": TABLE.encode("utf-16"),
    "r.jsonl": b'{"study_id": "a", "text": "Left opacity, new"}\n\n'
    b'{"study_id": "b", "text": "Clear"}\n',
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_reports(name: str, tmp_path: Path) -> None:
    reader = ReportReader(write(tmp_path / name, FORMATS[name]))
    assert [(r.study_id, r.sections) for r in reader] == ROWS
    assert reader.problems == []


def test_a_folder_of_text_files_is_one_report_a_file(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write(tmp_path / "deep" / "b.txt", "Clear")
    write(tmp_path / "a.txt", "Left opacity, new".encode("utf-16"))
    assert [(r.study_id, r.sections) for r in ReportReader(tmp_path)] == ROWS
    write(tmp_path / "c.txt", b"\xff")
    reader = ReportReader(tmp_path)
    assert len(list(reader)) == 2
    assert "c.txt row 1" in str(reader.problems[0])


def test_other_column_names_are_given_or_named_in_the_error(tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv", "accession,report,part\na,Clear,findings\n")
    columns = ReportColumns(study_id="accession", text="report", section="part")
    assert [r.sections for r in ReportReader(path, columns=columns)] == [(("findings", "Clear"),)]
    with pytest.raises(DataError, match="--id-column NAME") as caught:
        list(ReportReader(path))
    assert "accession, report" in str(caught.value)
    assert "--text-column NAME" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "studies"),
    [
        (b'study_id,text\na,ok\nb,"open\nc,z\nd,w\n', ["a"]),
        (b'study_id,text\na,"open\nb,"closed"\nc,z\n', ["c"]),
    ],
    ids=["to the end", "to the next quote"],
)
def test_an_open_quote_is_a_bad_row_and_swallows_nothing_in_silence(
    content: bytes, studies: list[str], tmp_path: Path
) -> None:
    reader = ReportReader(write(tmp_path / "r.csv", content))
    assert [r.study_id for r in reader] == studies
    with pytest.raises(DataError, match=r"row [23]: expected a CSV row.*correct the quotes"):
        reader.raise_problems()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.csv.gz", b"no gzip", "gzip file"),
        ("r.xlsx", b"PK", "expected CSV.*got a .xlsx file"),
        ("r.csv", "study_id,text\na,x\n".encode("utf-16-le"), "NUL bytes.*--encoding utf-16"),
        ("r.jsonl", b'{"id": "a"}\n[1]\n{"study_id"', None),
    ],
)
def test_a_file_that_cannot_be_read_says_what_to_do(
    name: str, content: bytes, message: str | None, tmp_path: Path
) -> None:
    path = write(tmp_path / name, content)
    if message is None:
        reader = ReportReader(path)
        assert list(reader) == []
        assert [problem.row for problem in reader.problems] == [1, 1, 2, 3]
        return
    with pytest.raises(DataError, match=message):
        list(ReportReader(path))


def test_an_unknown_encoding_is_an_error_of_the_options(tmp_path: Path) -> None:
    path = write(tmp_path / "r.csv", TABLE)
    with pytest.raises(ConfigError, match="`nonsense`"):
        ReportReader(path, encoding="nonsense")


def test_numbers_in_json_lines_are_read_as_text(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", json.dumps({"study_id": 7, "text": None}))
    assert [(r.study_id, r.sections) for r in ReportReader(path)] == [("7", (("", ""),))]
