"""The four rows of the grounding experiment on a few small films, and their JSON and page."""

from __future__ import annotations

import json

import numpy as np
import pytest

from experiments.data.described_films import DescribedSize, described_examples
from experiments.grounding.page import phantom_content, read_content, write_grounding
from experiments.grounding.phantom import (
    ROWS,
    PhantomGrounding,
    mean_estimates,
    run_grounding,
)
from experiments.grounding.places import score_place_boxes
from experiments.tables.pages import rewrite_pages
from localize.grounding.network.train import GroundingTraining

SIZE = DescribedSize(train=6, test=6, pixels=64, dim=8)
TRAINING = GroundingTraining(has_anatomy=False, has_structure=False, epochs=1, width=4, dim=8)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return PhantomGrounding(tmp_path_factory.mktemp("grounding"), SIZE, TRAINING)


def test_rows_json_and_page(run, tmp_path):
    table = run_grounding(run, [0])
    content = phantom_content(table, run)
    content["place_boxes"] = score_place_boxes(run, [0])
    write_grounding(content, tmp_path)
    written = json.loads((tmp_path / "grounding.json").read_text())
    assert [(row["anatomy"], row["structuring"]) for row in written["rows"]] == [
        (aids.anatomy, aids.structuring) for aids in ROWS
    ]
    for row in written["rows"]:
        assert row["low"] <= row["accuracy"] <= row["high"]
        assert row["negated_with_box"] + row["no_region"] == pytest.approx(1)
    page = (tmp_path / "grounding.md").read_text()
    rewrite_pages([tmp_path / "grounding.json"])
    assert (tmp_path / "grounding.md").read_text() == page
    assert read_content(tmp_path) == written


def test_a_finished_training_is_not_repeated(run, monkeypatch):
    first = run_grounding(run, [0])
    import experiments.grounding.phantom as module

    monkeypatch.setattr(module, "train_grounding", None)
    again = run_grounding(run, [0])
    for name in first.rows:
        np.testing.assert_array_equal(first.rows[name].dice, again.rows[name].dice)


def test_no_patient_is_in_training_and_test(run):
    train, test = described_examples(run.out / "seed_0", 0, SIZE)
    assert not set(train.patients.tolist()) & set(test.patients.tolist())
    assert train.unread == test.unread == 0


def test_means_leave_out_what_is_not_defined():
    values = np.array([1.0, np.nan, 0.0, 0.5])
    found = mean_estimates({"a": values, "b": np.full(4, np.nan)}, np.array([7, 7, 3, 3]))
    assert found["a"].value == pytest.approx(0.5)
    assert found["b"].value is None
