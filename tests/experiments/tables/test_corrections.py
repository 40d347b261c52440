"""The loop of corrections, as small as it can be: what comes back is what the annotator drew."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
import pytest

from data_manifests.phantom.case import PhantomOptions
from data_manifests.phantom.generate import SplitShares, build_phantom
from data_manifests.tables.manifest import read_manifest
from experiments.data.annotator import AnnotatorHabits
from experiments.tables.corrections import ARMS, CorrectionsSize, run_corrections
from experiments.tables.corrections_report import write_corrections
from tests.localize.models import write_tiny_bundle

HABITS = AnnotatorHabits(overlooked=0.0, hand=0.0)
SIZE = CorrectionsSize(
    films_review=14, films_test=10, min_score=0.0, max_boxes=2, epochs=1, epoch_films=8
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The work folder of a loop around a model with random weights, and its result."""
    folder = tmp_path_factory.mktemp("corrections")
    write_tiny_bundle(folder / "first")
    shares = SplitShares(val=0.4, test=0.0)
    build_phantom(folder / "first" / "hospital_a", PhantomOptions(size=64), films=24, shares=shares)
    result = run_corrections([folder / "first"], folder / "out", size=SIZE, habits=HABITS)
    return folder, result


@pytest.mark.slow
def test_a_steady_annotator_sends_back_every_opacity_and_nothing_else(finished):
    folder, result = finished
    review = read_manifest(folder / "out" / "round_0" / "review")
    back = read_manifest(folder / "out" / "round_0" / "review_corrected")
    assert len(back.boxes) == len(review.boxes) > 0
    total = result.changes[0].total
    assert total.films == len(review.images)
    assert total.accepted + total.moved + total.added == len(back.boxes)
    assert total.accepted + total.moved + total.deleted == SIZE.max_boxes * total.films
    sent = read_manifest(folder / "out" / "round_0" / "review_uncorrected")
    assert len(sent.boxes) == SIZE.max_boxes * total.films
    assert (back.labels["reviewed"] == 1).all()


@pytest.mark.slow
def test_all_arms_take_the_same_steps_and_see_their_own_boxes(finished):
    folder, result = finished
    assert tuple(result.evaluations) == ARMS
    checksums = set()
    for arm in ARMS:
        run = folder / "out" / "round_0" / f"detector_{arm}"
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        assert max(line["step"] for line in lines) == 1
        checksums.add(json.loads((run / "run.json").read_text())["data"]["train_sha256"])
    assert len(checksums) == len(ARMS)
    films = {evaluation.films.evaluated for evaluation in result.evaluations.values()}
    assert films == {SIZE.films_test}


@pytest.mark.slow
def test_the_report_names_its_command_and_every_number_has_its_interval(finished):
    folder, result = finished
    text = write_corrections(result, folder / "results", SIZE, HABITS, models=1)
    made = json.loads((folder / "results" / "corrections.json").read_text())
    assert made["command"].startswith("pneumoloc experiment corrections --quickstart")
    assert made["changes"]["films"] == SIZE.films_review
    assert [row["arm"] for row in made["rows"]] == list(ARMS)
    assert made["provenance"]["annotator"]["accept_iou"] == HABITS.accept_iou
    assert f"| {made['changes']['films']} |" in text
    for row in made["rows"][1:]:
        assert set(row["iou_50_minus_source"]) == {"value", "low", "high"}


@pytest.mark.slow
def test_a_second_call_trains_nothing_again(finished):
    folder, result = finished
    kept = sorted((folder / "out").rglob("detector.safetensors"))
    times = [path.stat().st_mtime_ns for path in kept]
    again = run_corrections([folder / "first"], folder / "out", size=SIZE, habits=HABITS)
    assert [path.stat().st_mtime_ns for path in kept] == times
    pd.testing.assert_frame_equal(again.changes[0].table, result.changes[0].table)
    assert replace(again.against_uncorrected) == result.against_uncorrected
