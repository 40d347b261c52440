"""F22: whatever a report holds, no crash, linear time, and errors that name the row."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attributes.lexicon.load import load_lexicon
from attributes.mine import mine_reports
from attributes.reports import ReportReader
from attributes.structure import Structurer

ENGLISH = load_lexicon("en")
STRUCTURER = Structurer(ENGLISH, cached_sentences=0)
pytestmark = pytest.mark.faults

SHAPES: dict[str, Callable[[int], str]] = {
    "one word": lambda n: "x" * n,
    "blanks": lambda n: " " * n,
    "dots": lambda n: "." * n,
    "line ends": lambda n: "\n" * n,
    "dots and a letter": lambda n: "." * n + "a",
    "findings without end": lambda n: "left opacity and " * (n // 17),
    "commas": lambda n: "opacity," * (n // 8),
    "negations": lambda n: "no " * (n // 3) + "opacity",
    "rule starts": lambda n: "no significant interval " * (n // 24),
    "headings": lambda n: "FINDINGS:" * (n // 9),
    "heading starts": lambda n: "\nfindings" * (n // 9),
    "blanks before a colon": lambda n: "findings" + " " * n + ":",
    "breakers": lambda n: "opacity but " * (n // 12),
    "relatives": lambda n: "opacity which " * (n // 14),
    "empty boxes": lambda n: "[ ]" * (n // 3),
    "boxes": lambda n: "[x] effusion " * (n // 13),
    "answers": lambda n: "Effusion: none Edema: mild " * (n // 27),
    "wide blanks": lambda n: "a:" + "b  " * (n // 3),
    "history": lambda n: "History: cough. " * (n // 16),
    "history of many sentences": lambda n: "History: " + "a. No b. " * (n // 9),
    "short lines": lambda n: "A\nsmall effusion\nbasal opacity\n" * (n // 31),
    "wrapped lines": lambda n: ("a " * 30 + "\n") * (n // 61),
    "nul": lambda n: "\x00" * n,
    "right to left": lambda n: "\u202eopacity\u202c " * (n // 10),
    "accents": lambda n: "e\u0301" * (n // 2),
    "versus": lambda n: "opacity versus " * (n // 15),
}


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_a_megabyte_without_line_ends_takes_linear_time(shape: Callable[[int], str]) -> None:
    def seconds(size: int) -> float:
        text = shape(size)
        start = time.process_time()
        STRUCTURER.structure(text)
        return time.process_time() - start

    small = max(seconds(125_000), 0.02)  # below that the clock decides
    assert seconds(1_000_000) < 8 * small * 3  # 8 times the text; 3: a busy machine


PIECES = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        [
            "no ",
            "left ",
            "opacity ",
            "which ",
            "may represent ",
            "pneumonia",
            ", ",
            "; ",
            "FINDINGS: ",
            "\x00",
            "\u202e",
            "<script>alert(1)</script>",
            "\n\n",
            "2. ",
            "and ",
            "or ",
            "is not seen ",
            "has resolved ",
            "😀",
            "\ud7ff",
            "İ",
        ]
    ),
)


@settings(max_examples=2000)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_no_text_breaks_the_structurer_and_offsets_stay_inside(text: str) -> None:
    for sentence in STRUCTURER.structure(text):
        for finding in sentence.findings:
            assert 0 <= finding.start < finding.end <= len(text)


def test_hostile_reports_are_mined_to_readable_tables(tmp_path: Path) -> None:
    import pandas as pd

    texts = [
        "left opacity " * 80_000,
        "a\x00b left opacity\x00.",
        "\u202eleft opacity",
        "<script>opacity</script>",
        '"',
        "=1+1 opacity",
    ]
    table = pd.DataFrame({"study_id": [f"s{n}" for n in range(len(texts))], "text": texts})
    table.to_csv(tmp_path / "r.csv", index=False)
    mine_reports(tmp_path / "r.csv", tmp_path, lexicon=ENGLISH)
    findings = pd.read_csv(tmp_path / "findings.csv", keep_default_na=False)
    assert len(pd.read_csv(tmp_path / "attributes.csv")) == len(texts)
    assert (findings["study_id"] == "s0").sum() == 80_000
    assert not findings["sentence"].str.contains("\x00").any()


@pytest.mark.slow
def test_a_hundred_thousand_empty_reports_take_little_time_and_memory(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("study_id,text\n" + "".join(f"s{n},\n" for n in range(100_000)))
    start = time.process_time()
    summary = mine_reports(path, tmp_path / "out", lexicon=ENGLISH)
    assert (summary.reports, summary.findings) == (100_000, 0)
    assert time.process_time() - start < 30


@pytest.mark.slow
def test_memory_does_not_grow_with_the_reports(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        path = tmp_path / f"{count}.csv"
        path.write_text(
            "study_id,text\n"
            + "".join(f"s{n},Left opacity {n}. No effusion.\n" for n in range(count))
        )
        tracemalloc.start()
        mine_reports(path, tmp_path / "out", lexicon=ENGLISH)
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(100)
    # Seen study ids are remembered as hashes, sentences in a bounded cache: some 100 bytes and,
    # until the cache is full, some hundred bytes a report; the reports themselves are not kept.
    assert peak(8000) - peak(2000) < 6000 * 2500


def test_bytes_that_are_no_text_name_their_row(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(
        b"study_id,text\n" + b"".join(b"s%d,ok\n" % n for n in range(500)) + b"x,caf\xe9\n"
    )
    reader = ReportReader(path)
    assert len(list(reader)) == 500
    assert "row 502, field text" in str(reader.problems[0])
