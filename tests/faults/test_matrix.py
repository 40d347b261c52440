"""The fault matrix names tests that exist, and its page shows every row."""

from __future__ import annotations

import json

from tests.faults.matrix import PAGE, RESULT, ROWS, missing_tests


def test_every_row_has_tests_that_exist():
    assert list(ROWS) == [f"F{number}" for number in range(1, 28)]
    assert missing_tests() == []


def test_the_page_shows_every_row_and_none_failed():
    page = PAGE.read_text("utf-8")
    records = json.loads(RESULT.read_text("utf-8"))["rows"]
    assert list(records) == list(ROWS)
    for name, row in ROWS.items():
        assert f"| {name} | {row.fault}" in page
    for record in records.values():
        assert record["measured"] in page
        assert record["passed"]
        assert not record["failed"]
