"""`experiment attention` from nothing: detector, films, gates, results; done parts are reused."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from attributes.vectors.word_vectors import write_word_vectors
from experiments.cli.app import app
from tests.localize.models import make_words

SETTINGS = (
    "films_a=12",
    "films_b=24",
    "films_test=12",
    "film_px=64",
    "detector_epochs=1",
    "gate.epochs=1",
    "gate.min_steps=1",
    "adaptation.training.epochs=1",
    'methods={"12": ["retinanet", "best_available", "proposed", "own", "truth"],'
    ' "24": ["report_adapted", "report_adapted_proposed"]}',
)


@pytest.mark.slow
def test_rows_and_differences_of_a_run_that_trains_its_own_detector(tmp_path):
    words = tmp_path / "words"
    write_word_vectors(make_words(), words)
    command = ["attention", "--words", str(words), "--out", str(tmp_path / "run"), "--seed", "3"]
    for setting in SETTINGS:
        command += ["--set", setting]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    written = json.loads((tmp_path / "run" / "controlled-attention.json").read_text())
    rows = {(row["method"], row["pairs"], row["seed"]): row for row in written["rows"]}
    assert set(rows) == {
        ("retinanet", 0, 3),
        ("best_available", 0, 3),
        ("proposed", 12, 3),
        ("own", 12, 3),
        ("truth", 12, 3),
        ("report_adapted", 24, 3),
        ("report_adapted_proposed", 24, 3),
    }
    best = rows[("best_available", 0, 3)]
    same_boxes = [row for (_, pairs, _), row in rows.items() if pairs < 24]
    assert all(row["iou_50"] <= best["iou_50"] for row in same_boxes)
    compared = {(one["a"], one["b"], one["over"]) for one in written["differences"]}
    assert ("proposed", "retinanet", "patients") in compared
    assert ("truth", "retinanet", "patients") in compared
    assert ("report_adapted", "retinanet", "patients") in compared
    assert ("report_adapted_proposed", "report_adapted", "patients") in compared
    page = (tmp_path / "run" / "controlled-attention.md").read_text()
    assert "proposed" in page

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.npz")}
    assert CliRunner().invoke(app, command, catch_exceptions=False).exit_code == 0
    trained = {path for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert {path.name for path in trained} <= {"truth.npz"}
