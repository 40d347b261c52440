"""The commands of `localize`: exit codes, what goes to stdout, and that failures leave nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import pneumoloc
from data_manifests.tables.manifest import read_manifest, write_manifest
from localize.bundle.packaged import PACKAGED_BUNDLE
from localize.prediction.tables import read_prediction, write_prediction
from tests.localize.models import (
    film_manifest,
    plant_store,
    tiny_severity,
    write_films,
    write_tiny_bundle,
)
from tests.localize.severity.test_fit import planted_films

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@pytest.fixture
def run(monkeypatch, capsys):
    """Run `pneumoloc ARGUMENTS` in this process."""

    def call(*arguments) -> Ran:
        monkeypatch.setattr(sys, "argv", ["pneumoloc", *map(str, arguments)])
        handler = signal.getsignal(signal.SIGTERM)
        try:
            with pytest.raises(SystemExit) as ended:
                pneumoloc.main()
        finally:
            signal.signal(signal.SIGTERM, handler)
        captured = capsys.readouterr()
        return Ran(int(ended.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle"), severity=tiny_severity())


@pytest.fixture
def films(tmp_path):
    write_films(tmp_path / "films", [(96, 96), (96, 64)])
    return tmp_path / "films"


def test_predict_writes_the_folder_and_answers_in_json(run, bundle, films, tmp_path):
    ran = run("predict", films, "--model", bundle, "--out", tmp_path / "out", "--json")
    assert ran.code == 0
    answer = json.loads(ran.out)
    prediction = read_prediction(tmp_path / "out")
    assert answer == {
        "out": str(tmp_path / "out"),
        "predicted": 2,
        "skipped": 0,
        "boxes": len(prediction.boxes),
        "already_done": 0,
    }
    assert "not a medical device" in ran.err
    assert prediction.images["image_id"].tolist() == ["film0", "film1"]


@pytest.mark.parametrize("content", [b"", b"FINDINGS: none."], ids=["empty", "text"])
def test_predict_stops_at_a_bad_film_and_writes_nothing(run, bundle, films, tmp_path, content):
    (films / "bad.png").write_bytes(content)
    ran = run("predict", films, "--model", bundle, "--out", tmp_path / "out")
    assert ran.code == 2
    assert "bad.png" in ran.err
    assert ran.out == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["films"]


def test_predict_skips_when_asked_and_lists_what_it_skipped(run, bundle, films, tmp_path):
    (films / "bad.png").write_bytes(b"")
    out = tmp_path / "out"
    ran = run("predict", films, "--model", bundle, "--out", out, "--on-error", "skip")
    assert ran.code == 0
    assert "2 films predicted, 1 skipped" in ran.out
    assert "skipped bad: bad.png" in ran.err
    assert read_prediction(out).images["status"].tolist() == ["skipped", "ok", "ok"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--on-error", "ignore"], "'ignore' is not one of"),
        (["--ranking", "best"], "'best' is not one of"),
        (["--split", "test"], "expected one manifest folder"),
        (["--max-boxes", "0"], "max-boxes"),
        (["--min-score", "2"], "min-score"),
        (["--device", "abacus"], "abacus"),
        (["--prevalence", "0"], "--prevalence: expected a number above 0 and below 1, got 0.0"),
        (["--prevalence", "1"], "such as 0.1"),
        (["--prevalence", "nan"], "got nan"),
        (["--prevalence", "often"], "'--prevalence'"),
        (["--prevalence", "0.1"], "a bundle that states its own"),
    ],
)
def test_predict_refuses_options_that_mean_nothing(run, bundle, films, tmp_path, more, message):
    ran = run("predict", films, "--model", bundle, "--out", tmp_path / "out", *more)
    assert ran.code == 2
    assert message in ran.err
    assert not (tmp_path / "out").exists()


def test_predict_refuses_to_write_over_a_file(run, films, tmp_path):
    (tmp_path / "out").write_text("mine")
    ran = run("predict", films, "--model", tmp_path / "later", "--out", tmp_path / "out")
    assert ran.code == 2
    assert "expected a folder, got a file" in ran.err
    assert (tmp_path / "out").read_text() == "mine"


def test_predict_does_not_write_among_the_films(run, films):
    before = sorted(films.iterdir())
    ran = run("predict", films, "--model", films / "later", "--out", films)
    assert ran.code == 2
    assert "expected a folder of its own, got that of the films" in ran.err
    assert sorted(films.iterdir()) == before


def test_a_named_file_of_another_kind_is_refused_before_the_model_is_read(run, tmp_path):
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04")
    ran = run("predict", tmp_path / "a.zip", "--model", tmp_path, "--out", tmp_path / "out")
    assert ran.code == 2
    assert "a.zip: expected PNG" in ran.err
    assert "a ZIP archive; unpack it" in ran.err


def test_predict_names_a_bad_film_and_the_way_round_it(run, bundle, films, tmp_path):
    (films / "bad.png").write_bytes(b"")
    ran = run("predict", films, "--model", bundle, "--out", tmp_path / "out")
    assert f"{films / 'bad.png'}: expected" in ran.err
    assert "--on-error skip" in ran.err


def test_predict_takes_one_split_of_a_manifest(run, bundle, films, tmp_path):
    film_manifest(films, sorted(films.iterdir()), splits=["train", "test"])
    ran = run("predict", films, "--model", bundle, "--out", tmp_path / "out", "--split", "test")
    assert ran.code == 0
    assert read_prediction(tmp_path / "out").images["image_id"].tolist() == ["film1"]


def test_bundle_info_is_json(run, bundle):
    ran = run("bundle", "info", bundle)
    assert ran.code == 0
    assert json.loads(ran.out)["files"].keys() >= {"calibration.json", "detector.safetensors"}


def test_bundle_verify_says_that_all_is_well(run, bundle):
    ran = run("bundle", "verify", bundle)
    assert ran.code == 0
    assert "10 files in order" in ran.out


def test_the_packages_bundle_has_an_address_and_is_the_default(run):
    ran = run("bundle", "where")
    assert ran.out == f"{PACKAGED_BUNDLE}\n"
    assert run("bundle", "info").out == run("bundle", "info", PACKAGED_BUNDLE).out


@pytest.mark.parametrize("command", ["info", "verify"])
def test_bundle_commands_refuse_a_tampered_bundle(run, bundle, tmp_path, command):
    copy = tmp_path / "copy"
    shutil.copytree(bundle, copy, copy_function=os.link)
    (copy / "calibration.json").unlink()
    (copy / "calibration.json").write_text("{}")
    ran = run("bundle", command, copy)
    assert ran.code == 2
    assert ran.out == ""
    assert "calibration.json: expected the SHA-256 in" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("command", ["info", "verify"])
def test_bundle_commands_refuse_what_is_no_bundle(run, tmp_path, command):
    ran = run("bundle", command, tmp_path)
    assert ran.code == 2
    assert "expected a model bundle, got no bundle.json" in ran.err
    ran = run("bundle", command, tmp_path / "typo")
    assert ran.code == 2
    assert "expected a model bundle, got no such folder" in ran.err


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return plant_store(tmp_path_factory.mktemp("planted"), films=14, val=4, regions=4)


def train_arguments(planted, out, *more) -> list:
    return [
        *("localize", "train", "--manifest", planted.folder / "manifest"),
        *("--store", planted.store, "--attributes", planted.attributes),
        *("--words", planted.folder / "words", "--out", out, "--device", "cpu"),
        *("--set", "training.epochs=1", "--set", "training.lr=0.01"),
        *more,
    ]


def test_report_boxes_writes_a_manifest_of_training_and_validation_films(run, planted, tmp_path):
    mined = shutil.copytree(planted.attributes, tmp_path / "mined")
    header = "study_id,section,finding,assertion,attributes,sentence,start,end"
    stated = [f"study-{n:03d},findings,opacity,present,,x,0,1" for n in range(0, 14, 2)]
    (mined / "findings.csv").write_text("\n".join([header, *stated, ""]))
    arguments = ["--manifest", planted.folder / "manifest", "--store", planted.store]
    arguments += ["--attributes", mined, "--out", tmp_path / "boxes"]
    done = run("localize", "report-boxes", *arguments)
    assert done.code == 0, done.err
    written = read_manifest(tmp_path / "boxes")
    assert set(written.boxes["annotator"]) == {"report"}
    assert set(written.images["split"]) <= {"train", "val"}
    assert f"({len(written.boxes)})" in done.out
    again = run("localize", "report-boxes", *arguments)
    assert again.code == 2
    assert "holds a manifest" in again.err
    wrong = run("localize", "report-boxes", *arguments[:-1], tmp_path / "x", "--evidence", "zones")
    assert wrong.code == 2
    assert "'zones' is not one of" in wrong.err


def test_localize_train_trains_once_and_then_only_resumes(run, planted, tmp_path):
    ran = run(*train_arguments(planted, tmp_path))
    assert ran.code == 0
    assert ran.out.startswith("best epoch")
    assert "10 training films, 4 validation films" in ran.out
    assert (tmp_path / "localizer.safetensors").is_file()
    again = run(*train_arguments(planted, tmp_path))
    assert (again.code, again.out) == (2, "")
    assert "go on with --resume" in again.err
    assert run(*train_arguments(planted, tmp_path, "--resume")).code == 0
    other = run(*train_arguments(planted, tmp_path, "--resume", "--set", "training.lr=1"))
    assert other.code == 2
    assert "training.lr: 0.01 before, 1.0 now" in other.err


def test_localize_train_refuses_a_patient_in_two_splits(run, planted, tmp_path):
    manifest = planted.manifest
    images = manifest.images.assign(patient_id=manifest.images["patient_id"])
    images.loc[4, "patient_id"] = images.loc[0, "patient_id"]  # film 0 is val, film 4 train
    write_manifest(type(manifest)(**{**vars(manifest), "images": images}), tmp_path / "manifest")
    arguments = train_arguments(planted, tmp_path / "out")
    arguments[arguments.index("--manifest") + 1] = tmp_path / "manifest"
    ran = run(*arguments)
    assert ran.code == 2
    assert "without a common patient, got 1 in both" in ran.err
    assert "patient-000" not in ran.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["--manifest", "--store", "--attributes", "--words", "--config"])
def test_localize_train_names_the_input_that_is_missing(run, planted, tmp_path, option):
    arguments = train_arguments(planted, tmp_path / "out")
    if option == "--config":
        arguments += ["--config", "nowhere"]
    else:
        arguments[arguments.index(option) + 1] = tmp_path / "nowhere"
    ran = run(*arguments)
    assert ran.code == 2
    assert "nowhere" in ran.err
    assert "Traceback" not in ran.err
    assert not (tmp_path / "out").exists()


def test_localize_train_ends_with_1_on_numbers_that_are_not_finite(run, tmp_path):
    planted = plant_store(tmp_path / "planted", films=14, val=4, regions=4, spoil=(7,))
    ran = run(*train_arguments(planted, tmp_path / "out"))
    assert ran.code == 1
    assert "film-007" in ran.err
    assert "Traceback" not in ran.err


@pytest.fixture
def scored(tmp_path):
    """A prediction and a manifest with experts' scores, on disk."""
    prediction, manifest = planted_films(30, noise=0.3)
    write_prediction(prediction, tmp_path / "prediction")
    write_manifest(manifest, tmp_path / "manifest")
    return tmp_path


def test_severity_is_fitted_scored_and_evaluated(run, scored):
    model = scored / "severity.json"
    fit = run(
        *("severity", "fit", scored / "prediction", "--manifest", scored / "manifest"),
        *("--out", model),
    )
    assert fit.code == 0
    assert "30 films" in fit.out
    score = run(
        *("severity", "score", scored / "prediction", "--model", model),
        *("--out", scored / "scores.csv"),
    )
    assert score.code == 0
    lines = (scored / "scores.csv").read_text().splitlines()
    assert lines[0] == "image_id,severity,low,high"
    values = np.array([line.split(",")[1:] for line in lines[1:]], float)
    assert values.shape == (30, 3)
    evaluated = run(
        *("severity", "evaluate", scored / "prediction", "--manifest", scored / "manifest"),
        "--json",
    )
    assert evaluated.code == 0
    assert json.loads(evaluated.out)[0]["pearson"] > 0.5


def test_severity_commands_refuse_bad_input(run, scored):
    (scored / "bad.json").write_text("{}")
    bad_model = run(
        *("severity", "score", scored / "prediction", "--model", scored / "bad.json"),
        *("--out", scored / "scores.csv"),
    )
    assert bad_model.code == 2
    assert "expected a severity model" in bad_model.err
    no_model = run(
        *("severity", "score", scored / "prediction", "--model", scored / "typo.json"),
        *("--out", scored / "scores.csv"),
    )
    assert no_model.code == 2
    assert "expected a severity model, got no such file" in no_model.err
    assert not (scored / "scores.csv").exists()
    no_column = run(
        *("severity", "fit", scored / "prediction", "--manifest", scored / "manifest"),
        *("--out", scored / "severity.json", "--column", "brixia"),
    )
    assert no_column.code == 2
    assert "expected a column 'brixia'" in no_column.err


PREDICT_AND_REPORT = """
import json, sys
opened = []
def note(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        opened.append(str(arguments[0]))
sys.addaudithook(note)
import pneumoloc
try:
    pneumoloc.main()
except SystemExit as ended:
    code = ended.code
modules = [name for name in ("gensim", "spacy", "negspacy") if name in sys.modules]
print(json.dumps({"code": code, "modules": modules, "opened": opened}), file=sys.stderr)
"""


@pytest.mark.slow
def test_prediction_needs_neither_gensim_nor_spacy_and_opens_no_report(bundle, films, tmp_path):
    film_manifest(films, sorted(films.iterdir()))
    assert (films / "reports.csv").is_file()
    arguments = ["predict", str(films), "--model", str(bundle), "--out", str(tmp_path / "out")]
    ran = subprocess.run(
        [sys.executable, "-c", PREDICT_AND_REPORT, *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    seen = json.loads(ran.stderr.splitlines()[-1])
    assert seen["code"] == 0
    assert seen["modules"] == []
    inside = {Path(path).name for path in seen["opened"] if path.startswith(str(films))}
    assert inside == {"images.csv", "manifest.json", "film0.png", "film1.png"}
