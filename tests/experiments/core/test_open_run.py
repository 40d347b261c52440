"""The open run from a tiny folder of films: tables, figures, the packed bundle and its card."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from data_manifests.tables.leaks import refuse_overlap_leaks
from experiments.cli.app import app
from experiments.core.package_bundle import scored_films
from experiments.data.open_input import COVID, FULL_FRAMES, open_input
from experiments.tables.bundle_results import evaluate_bundle
from localize.bundle.bundle import load_bundle
from localize.evaluation.evaluate import evaluate
from localize.prediction.tables import read_prediction
from tests.experiments.tiny_open_data import COUNTS, NOTES, write_open_data

SETTINGS = (
    "trainings=1",
    "detector={backbone: efficientnet_lite0, fpn_width: 16, image_size: 64}",
    "detector_training={epochs: 1, batch_size: 4, precision: float32}",
    "vectors={dim: 8, epochs: 1}",
    "methods=[{name: retinanet, kind: detector}, "
    "{name: proposed, kind: attention, attention: {set: [training.epochs=1]}}]",
)


def run(*arguments) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Data, output folder and results after table 1, table 2, figures and the packed bundle."""
    folder = tmp_path_factory.mktemp("open")
    data = write_open_data(folder / "data")
    reports = folder / "reports.csv"
    rows = [{"study_id": k, "section": "findings", "text": NOTES[k % 3]} for k in range(30)]
    pd.DataFrame(rows).to_csv(reports, index=False)
    inputs = ("--data", data, "--reports", reports)
    settings = [part for one in SETTINGS for part in ("--set", one)]
    results = folder / "docs" / "results"
    open_run = ("--preset", "open", *inputs, "--out", folder / "work", "--device", "cpu", *settings)
    run("table1", *open_run, "--results", results)
    run("table2", *open_run, "--results", results, "--method", "proposed")
    named = ("--work", folder / "work", "--out", folder / "figures", "--method", "proposed")
    run("figures", "--preset", "open", *inputs, *named, "--device", "cpu")
    work = ("--out", folder / "work", "--results", results, "--bundle", folder / "bundle")
    run("package-bundle", *inputs, *work, "--device", "cpu")
    return folder


@pytest.mark.slow
def test_the_input_keeps_patients_apart_and_tests_both_kinds_of_film(finished, tmp_path):
    found = open_input(finished / "data", finished / "reports.csv", tmp_path)
    full, covid = found.films.tests
    assert (full.name, covid.name) == (FULL_FRAMES, COVID)
    assert len(full.films.images) == COUNTS["test"]
    assert set(covid.films.images["image_id"]) == set(covid.films.boxes["image_id"])
    for test in found.films.tests:
        for trained in (found.films.boxed, found.films.pairs):
            seen = trained.subset(trained.images["split"].isin(("train", "val")))
            refuse_overlap_leaks(seen, test.films)
    sources = set(found.films.boxed.split("val").images["source"])
    assert sources == {"rsna_nih_fullframe"}  # masked frames are trained on only


@pytest.mark.slow
def test_table_1_has_the_numbers_of_the_predictions_in_the_folder(finished):
    content = json.loads((finished / "docs" / "results" / "table1-open.json").read_text())
    rows = {(row["dataset"], row["method"]): row for row in content["rows"]}
    tests = open_input(finished / "data", finished / "reports.csv", finished / "work").films.tests
    assert len(rows) == 2 * len(tests)
    for test in tests:
        prediction = read_prediction(finished / "work" / "retinanet" / test.folder)
        expected = evaluate(prediction, test.films, replicates=0)
        assert rows[test.name, "retinanet"]["iou_25"] == expected.value("iou_at_0.25")
    assert "All text is real" in (finished / "docs" / "results" / "table1-open.md").read_text()


@pytest.mark.slow
def test_table_2_scores_severity_and_the_attributes_of_films_with_a_note(finished):
    content = json.loads((finished / "docs" / "results" / "table2-open.json").read_text())
    assert {row["target"] for row in content["rows"]} == {
        "severity",
        "covidnet_geographic",
        "brixia_S_Global",
    }
    assert [zone["zone"] for zone in content["zones"]] == list("ABCDEF")
    covid = open_input(finished / "data", finished / "reports.csv", finished / "work").covid
    assert content["attributes"][0]["films"] == len(covid.split("test").images)


@pytest.mark.slow
def test_figures_of_the_open_run_are_drawn(finished):
    names = sorted(path.name for path in (finished / "figures").iterdir())
    assert names == ["attention.png", "localization.png", "series.png", "severity.png"]


@pytest.mark.slow
def test_the_bundle_has_half_precision_severity_guard_and_the_runs_detector(finished):
    bundle = load_bundle(finished / "bundle")
    assert bundle.severity is not None
    assert bundle.guard is not None
    assert bundle.calibration.films == COUNTS["val"]
    trained = json.loads((finished / "work" / "detector" / "detector.json").read_text())
    assert bundle.description["detector"]["image_size"] == trained["image_size"] == 64
    packed = (finished / "bundle" / "detector.safetensors").stat().st_size
    full = (finished / "work" / "detector" / "detector.safetensors").stat().st_size
    assert packed < 0.6 * full


@pytest.mark.slow
def test_the_card_states_the_evaluation_of_the_bundle(finished):
    card = (finished / "docs" / "results" / "model-card.md").read_text()
    content = json.loads((finished / "docs" / "results" / "model-card.json").read_text())
    inputs = finished / "data", finished / "reports.csv", finished / "work"
    result = evaluate_bundle(*inputs, finished / "bundle", "cpu")
    found = result.evaluations[FULL_FRAMES].row("iou_at_0.25").estimate
    assert content["tests"][FULL_FRAMES]["iou_at_0.25"] == vars(found)
    assert f"| IoU@.25 (top k) | {found.value:.3f} [" in card
    assert f"| {COUNTS['test']} (" in card.replace("boxes | ", "| ")
    assert result.calls.to_numpy().sum() == COUNTS["test"]
    assert result.trained == {"rsna_nih_fullframe": COUNTS["train"], "rsna_lungmasked": 8}
    assert content["provenance"]["bundle_id"] == result.bundle.bundle_id
    assert result.flagged["photographs (none in training)"] <= 1
    assert np.isfinite(list(result.flagged.values())).all()
    severity = {fit.score: fit for fit in result.severity}["severity"]
    covid = open_input(*inputs).covid
    assert severity.films == len(scored_films(covid).images) == len(covid.images)
    assert (finished / "docs" / "images" / "model-card-reliability.png").exists()
