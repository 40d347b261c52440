"""A tiny phantom through table 1, table 2, figures, ablation and curves: the wiring."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from data_manifests.support.errors import ConfigError
from data_manifests.tables.manifest import read_manifest, write_manifest
from experiments.cli.app import app
from experiments.core.phantom_seed import CPU, PhantomRun, first_pairs
from localize.bundle.bundle import load_bundle
from localize.inference.film_list import manifest_films
from localize.inference.options import PredictOptions
from localize.inference.predict_films import predict_films
from localize.pipeline.cached import cached
from localize.pipeline.phantom_stages import PhantomSize
from localize.prediction.tables import read_prediction

# float32: in bfloat16 so small a training is not stable on every CPU.
SIZE = (
    "size={films_a: 40, films_b: 40, film_px: 64, model_px: 64, detector_epochs: 2, "
    "precision: float32}"
)
QUICK = "attention: {set: [training.epochs=2]}"
ADAPTATION = (
    "adaptation={training: {epochs: 1, batch_size: 8, warmup_steps: 2, precision: float32}}"
)
METHODS = (
    "methods=[{name: cam, kind: heat}, {name: retinanet, kind: detector}, "
    f"{{name: report_adapted_proposed, kind: report_adapted, {QUICK}}}, "
    "{name: report_adapted, kind: report_adapted}, {name: own, kind: report_adapted, source: own}, "
    "{name: size_prior, kind: size_prior}, {name: lung_prior, kind: lung_prior}, "
    "{name: roi_chance, kind: roi_chance, repeats: 2}, "
    "{name: best_available, kind: best_available}]"
)
CLASSIFIER = ADAPTATION, "classifier.training.epochs=1", "classifier.classifier.image_size=64"


def run(*arguments) -> str:
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def options(*settings):
    return [part for setting in settings for part in ("--set", setting)]


def table1(out, results, *arguments, seeds=(3,), methods=METHODS):
    named = [part for seed in seeds for part in ("--seed", seed)]
    places = ("--out", out, "--results", results)
    settings = options(SIZE, methods, *CLASSIFIER)
    run("table1", "--preset", "phantom", *named, *places, *settings, *arguments)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A work folder after table 1 of one seed, and its results."""
    out = tmp_path_factory.mktemp("experiments")
    table1(out / "work", out / "results")
    return out


@pytest.mark.slow
def test_table1_has_a_row_for_each_method_in_order(work):
    content = json.loads((work / "results" / "table1-phantom.json").read_text())
    rows = {row["method"]: row for row in content["rows"]}
    assert list(rows) == [
        "cam",
        "retinanet",
        "report_adapted_proposed",
        "report_adapted",
        "own",
        "size_prior",
        "lung_prior",
        "roi_chance",
        "best_available",
    ]
    test = read_manifest(work / "work" / "seed_3" / "hospital_b").split("test")
    for row in rows.values():
        assert (row["films"], row["boxes"]) == (len(test.images), len(test.boxes))
        assert row["diff_iou_50"]["mean"] == pytest.approx(
            row["iou_50"] - rows["retinanet"]["iou_50"]
        )
    assert rows["best_available"]["iou_50"] >= rows["retinanet"]["iou_50"]
    assert 0 <= rows["report_adapted_proposed"]["side_share"] <= 1
    assert "attribute_macro_auc" in rows["report_adapted_proposed"]["metrics"]
    assert "attribute_macro_auc" not in rows["report_adapted"]["metrics"]
    compared = {(one["a"], one["b"]) for one in content["diffs"]}
    assert compared == {
        (ours, control)
        for ours in ("report_adapted_proposed", "report_adapted")
        for control in ("own", "size_prior")
    }
    assert content["provenance"]["seeds"] == [3]


@pytest.mark.slow
def test_a_second_run_trains_nothing_and_writes_the_same_numbers(work):
    written = {path: path.stat().st_mtime_ns for path in (work / "work").rglob("*.safetensors")}
    first = json.loads((work / "results" / "table1-phantom.json").read_text())["rows"]
    table1(work / "work", work / "again")
    again = json.loads((work / "again" / "table1-phantom.json").read_text())["rows"]
    assert again == first
    assert {path: path.stat().st_mtime_ns for path in written} == written
    pictures = [work / name / "table1-phantom.png" for name in ("results", "again")]
    assert pictures[0].read_bytes() == pictures[1].read_bytes()


@pytest.mark.slow
def test_methods_of_one_adaptation_share_the_trained_detector(work):
    methods = work / "work" / "seed_3" / "methods"
    detectors = [path.parents[1].name for path in methods.glob("*/detector/run.json")]
    assert sorted(name.rpartition("_")[0] for name in detectors) == ["adapted_own", "adapted_words"]


@pytest.mark.slow
def test_a_classifier_of_other_settings_is_refused(work):
    with pytest.raises(ConfigError, match=r"training\.epochs: 1 before, 2 now"):
        table1(work / "work", work / "x", "--set", "classifier.training.epochs=2")


@pytest.mark.slow
def test_seeds_in_processes_are_those_of_one_process(work, tmp_path):
    methods = "methods=[{name: retinanet, kind: detector}, {name: lung_prior, kind: lung_prior}]"
    out = tmp_path / "work"
    table1(out, tmp_path, "--processes", 2, seeds=(3, 4), methods=methods)
    place = "seed_3", "methods", "retinanet", "phantom_hospital_B,_test"
    ours, one = (folder.joinpath(*place) for folder in (out, work / "work"))
    assert read_prediction(ours).boxes.equals(read_prediction(one).boxes)
    tests = [read_manifest(out / f"seed_{seed}" / "hospital_b").split("test") for seed in (3, 4)]
    for row in json.loads((tmp_path / "table1-phantom.json").read_text())["rows"]:
        assert row["films"] == sum(len(test.images) for test in tests)


@pytest.mark.slow
def test_table2_and_figures_come_from_the_same_folder(work):
    run(
        "table2",
        "--preset",
        "phantom",
        "--seed",
        3,
        "--out",
        work / "work",
        "--results",
        work / "results",
        *options(SIZE, METHODS, *CLASSIFIER),
    )
    content = json.loads((work / "results" / "table2-phantom.json").read_text())
    assert {row["score"] for row in content["rows"]} >= {"severity", "P(severe)", "P(mild)"}
    assert len(content["attributes"]) == 24  # keywords, their mean, all pooled
    for name in ("one", "two"):
        run(
            "figures",
            "--preset",
            "phantom",
            "--seed",
            3,
            "--work",
            work / "work",
            "--out",
            work / name,
        )
    names = sorted(path.name for path in (work / "one").iterdir())
    assert names == ["attention.png", "localization.png", "series.png", "severity.png"]
    for name in names:
        assert (work / "one" / name).read_bytes() == (work / "two" / name).read_bytes()


@pytest.mark.slow
def test_the_ablation_changes_one_thing_and_compares_with_the_reference(work):
    run(
        "ablation",
        "--seed",
        3,
        "--out",
        work / "work",
        "--results",
        work / "results",
        *options(SIZE, f"reference={{name: reference, {QUICK}}}"),
        "--only",
        "N 16",
        "--only",
        "words of 32",
    )
    content = json.loads((work / "results" / "ablation-phantom.json").read_text())
    rows = {row["method"]: row for row in content["rows"]}
    assert list(rows) == ["retinanet", "reference", "N 16", "words of 32"]
    assert rows["N 16"]["changed"] == {"name": "N 16", "count": 16}
    for name in ("N 16", "words of 32"):
        assert rows[name]["diff_iou_50_reference"]["mean"] == pytest.approx(
            rows[name]["iou_50"] - rows["reference"]["iou_50"]
        )


@pytest.mark.slow
def test_a_detectors_own_boxes_are_those_of_a_bundle_that_asks_the_detector(work):
    base = work / "work" / "seed_3"
    own = read_prediction(base / "methods" / "retinanet" / "phantom_hospital_B,_test").boxes
    films = read_manifest(base / "hospital_b").split("test")
    bundle = load_bundle(base / "ablation" / "reference" / "bundle")
    asked = PredictOptions(ranking="detector")
    by_bundle = predict_films(bundle, manifest_films(films), asked, CPU).boxes
    assert own["image_id"].tolist() == by_bundle["image_id"].tolist()
    numbers = ["x1", "y1", "x2", "y2", "score"]
    np.testing.assert_allclose(own[numbers], by_bundle[numbers], atol=2e-3)


@pytest.mark.slow
def test_curves_keep_the_detector_and_change_hospital_b_or_its_pairs(work):
    methods = (
        "methods=[{name: retinanet, kind: detector}, "
        f"{{name: proposed, kind: attention, {QUICK}}}]"
    )
    run(
        "curves",
        "--seed",
        3,
        "--out",
        work / "work",
        "--results",
        work / "results",
        *options(SIZE, methods, "shifts=[0.0]", "pairs=[12]"),
    )
    content = json.loads((work / "results" / "curves-phantom.json").read_text())
    assert [(row["axis"], row["value"], row["method"]) for row in content["rows"]] == [
        ("shift", 0.0, "retinanet"),
        ("shift", 0.0, "proposed"),
        ("pairs", 12, "retinanet"),
        ("pairs", 12, "proposed"),
        ("pairs", 19, "retinanet"),  # all
        ("pairs", 19, "proposed"),
    ]
    base = work / "work" / "seed_3"
    assert (base / "shift_0.00" / "hospital_b").is_dir()
    assert not (base / "shift_0.00" / "detector").exists()
    # RetinaNet does not see the pairs: the same films, the same number as in table 1.
    table = json.loads((work / "results" / "table1-phantom.json").read_text())["rows"]
    assert content["rows"][2]["iou_50"] == next(
        row["iou_50"] for row in table if row["method"] == "retinanet"
    )


@pytest.mark.slow
def test_fewer_pairs_are_the_first_training_films_and_all_validation_films(work):
    base = work / "work" / "seed_3"
    pairs = read_manifest(base / "hospital_b")
    few, every = first_pairs(pairs, 5).images, pairs.images
    train = every[every["split"] == "train"]["image_id"].tolist()
    assert few[few["split"] == "train"]["image_id"].tolist() == train[:5]
    assert np.array_equal(few[few["split"] == "val"], every[every["split"] == "val"])


@pytest.mark.slow
def test_the_papers_preset_runs_on_manifests(work, tmp_path):
    base, out = work / "work" / "seed_3", tmp_path / "work"
    test = read_manifest(base / "hospital_b").split("test")
    write_manifest(
        replace(test, info=replace(test.info, image_root=str(test.root))), tmp_path / "t"
    )
    methods = (
        "methods=[{name: retinanet, kind: detector}, {name: lung_prior, kind: lung_prior}, "
        f"{{name: proposed, kind: attention, {QUICK}}}, {{name: more_steps, kind: report_adapted, "
        "source: none}]"
    )
    small = (
        "detector={backbone: efficientnet_lite0, fpn_width: 32, image_size: 64}",
        "detector_training={epochs: 1, batch_size: 8, precision: float32}",
        "vectors={dim: 16, epochs: 2}",
        "trainings=2",
    )
    arguments = (
        *("table1", "--preset", "paper", "--boxed", base / "hospital_a"),
        *("--pairs", base / "hospital_b", "--test", f"b={tmp_path / 't'}"),
        *("--out", out, "--device", "cpu", *options(methods, ADAPTATION, *small)),
    )
    run(*arguments)
    content = json.loads((out / "table1-paper.json").read_text())
    rows = {row["method"]: row for row in content["rows"]}
    assert list(rows) == ["retinanet", "lung_prior", "proposed", "more_steps"]
    assert rows["retinanet"]["dataset"] == "b"
    assert rows["more_steps"]["draws"] == 2
    assert {path.name for path in out.glob("repeat_1/*")} >= {"more_steps"}
    assert set(content["provenance"]["data_sha256"]) == {"boxed", "pairs", "b"}
    phantom = json.loads((work / "results" / "table1-phantom.json").read_text())["rows"]
    same = {row["method"]: row for row in phantom}["lung_prior"]
    assert rows["lung_prior"]["iou_25"] == same["iou_25"]
    assert "Leak-free" in (out / "table1-paper.md").read_text()
    trained = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
    run(*arguments)
    assert {path: path.stat().st_mtime_ns for path in trained} == trained


def test_a_folder_of_other_films_is_refused(tmp_path):
    cached(tmp_path / "seed_0", {"seed": 0, **asdict(PhantomSize())}, Path.mkdir)
    prepared = PhantomRun(tmp_path, PhantomSize()).prepare(0)
    assert prepared == (tmp_path / "seed_0", tmp_path / "seed_0")
    with pytest.raises(ConfigError, match="films_a"):
        PhantomRun(tmp_path, PhantomSize(films_a=60)).prepare(0)
