from __future__ import annotations

import json

import pytest
import typer
from typer.testing import CliRunner

from data_manifests.support.errors import ConfigError, DataError
from data_manifests.tables.manifest import read_manifest, write_manifest
from localize.cli.formats import register
from localize.prediction.tables import write_prediction
from tests.localize.predictions import make_prediction, make_truth

BOXES = [("a", 10, 20, 110, 220, 0.9), ("a", 300, 20, 400, 220, 0.4), ("b", 10, 10, 50, 60, 0.2)]


@pytest.fixture
def app():
    app = typer.Typer()
    register(app)
    return app


@pytest.fixture
def folders(tmp_path):
    write_prediction(make_prediction(["a", "b"], BOXES), tmp_path / "prediction")
    write_manifest(make_truth(["a", "b"], [("a", 1, 1, 30, 30)]), tmp_path / "manifest")
    return tmp_path


def run(app, *arguments):
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_prediction_goes_out_and_comes_back_with_a_summary(app, folders):
    out = folders / "boxes.json"
    printed = run(
        app, "export", folders / "prediction", "--format", "coco", "--out", out,
        "--min-score", 0.3, "--label", "pneumonia=opacity", "--json",
    )  # fmt: skip
    assert json.loads(printed)["boxes"] == 2
    content = json.loads(out.read_text())
    assert content["categories"][0]["name"] == "opacity"
    content["annotations"][1]["bbox"] = [305, 20, 100, 200]
    out.write_text(json.dumps(content))
    printed = run(
        app, "import-boxes", out, "--format", "coco", "--manifest", folders / "manifest",
        "--out", folders / "deep" / "corrected", "--prediction", folders / "prediction",
        "--min-score", 0.3, "--label", "pneumonia=opacity", "--annotator", "anna", "--json",
    )  # fmt: skip
    changes = json.loads(printed)["changes"]
    assert changes["total"]["accepted"] == 1
    assert changes["by_annotator"]["anna"]["moved"] == 1
    manifest = read_manifest(folders / "deep" / "corrected")
    assert manifest.boxes_of("a").xyxy[1].tolist() == [305, 20, 405, 220]
    assert manifest.root.resolve() == (folders / "manifest").resolve()
    assert "boxes.json" in manifest.info.sources
    assert (folders / "deep" / "corrected" / "changes.csv").is_file()


def test_a_manifest_exports_its_true_boxes(app, folders):
    run(app, "export", folders / "manifest", "--format", "cvat", "--out", folders / "a.xml")
    assert 'xbr="30.000000"' in (folders / "a.xml").read_text()


def test_a_folder_in_the_place_of_a_file_is_refused_and_kept(app, folders):
    (folders / "taken").mkdir()
    with pytest.raises(DataError, match="taken: expected a file to write coco into, got a folder"):
        run(app, "export", folders / "manifest", "--format", "coco", "--out", folders / "taken")
    assert list((folders / "taken").iterdir()) == []
    assert not list(folders.glob("*.sidecar.csv"))


def test_at_most_so_many_boxes_a_film(app, folders):
    out = folders / "a.csv"
    run(
        app, "export", folders / "prediction", "--format", "rsna-csv", "--out", out,
        "--max-boxes", 1,
    )  # fmt: skip
    assert out.read_text() == (
        "patientId,PredictionString\na,0.9 20 40 200 400\nb,0.2 20 20 80 100\n"
    )


@pytest.mark.parametrize("pair", ["opacity", "=x", "x="])
def test_a_label_without_both_names_is_refused(app, folders, pair):
    with pytest.raises(ConfigError, match="OLD=NEW"):
        run(
            app, "export", folders / "prediction", "--format", "coco", "--out", folders / "x.json",
            "--label", pair,
        )  # fmt: skip
