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


def test_boxes_below_the_operating_point_go_out_only_with_all_boxes(app, tmp_path):
    from dataclasses import replace

    made = make_prediction(["a", "b"], BOXES)
    info = {**made.info, "operating_point": 0.3}
    write_prediction(replace(made, info=info), tmp_path / "p")

    def boxes(name, *options):
        out = tmp_path / f"{name}.json"
        arguments = ("export", tmp_path / "p", "--format", "coco", "--out", out, "--json", *options)
        return json.loads(run(app, *arguments))["boxes"]

    assert boxes("default") == 2
    assert boxes("all", "--all-boxes") == 3
    assert boxes("score", "--min-score", 0.1) == 3
    with pytest.raises(ConfigError, match="got both"):
        boxes("both", "--all-boxes", "--min-score", 0.1)
    write_prediction(replace(made, info={**info, "operating_point": 2}), tmp_path / "p")
    with pytest.raises(DataError, match="operating_point, a number from 0 to 1, got 2"):
        boxes("wrong")


def test_the_formats_are_listed_in_the_help(app):
    result = CliRunner().invoke(app, ["export", "--help"], env={"COLUMNS": "200"})
    for name in ("coco", "dicom-gsps", "png"):
        assert name in result.output


def test_a_file_without_annotated_films_is_an_error(app, folders):
    out = folders / "tasks.json"
    run(app, "export", folders / "prediction", "--format", "label-studio", "--out", out)
    with pytest.raises(DataError, match="none in 2 tasks"):
        run(
            app, "import-boxes", out, "--format", "label-studio", "--manifest",
            folders / "manifest", "--out", folders / "corrected",
        )  # fmt: skip
    assert not (folders / "corrected").exists()
