"""CSV tables come back as they were, whatever line ends and control characters they hold."""

from __future__ import annotations

import csv

import pandas as pd
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data_manifests.support.csv_file import csv_text, csv_writer, read_text_csv, write_csv

# Everything that some reader takes for the end of a line, and what CSV itself uses.
LINE_ENDS = "\r\n\v\f\x1c\x1d\x1e\x85\u2028\u2029"
CONTROLS = "".join(map(chr, range(1, 32))) + "\x7f\xa0\ufeff"
texts = st.text(st.sampled_from(LINE_ENDS + CONTROLS + ",\"' aé中;|"), max_size=12)
tables = st.lists(st.tuples(texts, texts), min_size=1, max_size=5)


@settings(max_examples=300)
@example([("Patchy opacity.\rNo pneumonia.", "a")])
@example([("\r", "\r\n"), ("", '"\r"')])
@given(tables)
def test_every_text_comes_back_from_a_table(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "table.csv"
    write_csv(path, pd.DataFrame(rows, columns=["study_id", "text"]))
    assert list(read_text_csv(path).itertuples(index=False, name=None)) == rows
    with path.open(encoding="utf-8", newline="") as file:
        assert [tuple(row) for row in csv.reader(file)][1:] == rows


@settings(max_examples=200)
@given(tables)
def test_every_text_comes_back_from_single_rows(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv_writer(file).writerows([("study_id", "text"), *rows])
    assert list(read_text_csv(path).itertuples(index=False, name=None)) == rows


def test_rows_end_with_a_line_feed_and_only_needed_quotes_are_written():
    table = pd.DataFrame({"a": [1.5, None], "b": ["x y", "x\ry"]})
    assert csv_text(table) == 'a,b\n1.5,x y\n,"x\ry"\n'
    assert csv_text(table, header=False).startswith("1.5,")
