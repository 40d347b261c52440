"""The quickstart, as small as it can be: every promised file, and a second call that only reads."""

from __future__ import annotations

import json

import pytest

from data_manifests.support.errors import DataError
from data_manifests.tables.manifest import read_manifest
from localize.bundle.bundle import load_bundle
from localize.pipeline.phantom_stages import PhantomSize
from localize.pipeline.quickstart import EXPORTS, run_quickstart
from localize.prediction.tables import read_prediction

SIZE = PhantomSize(
    films_a=48, films_b=48, film_px=96, model_px=64, detector_epochs=6, localizer_epochs=2
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a quickstart and the lines it printed."""
    out = tmp_path_factory.mktemp("quickstart") / "demo"
    return out, list(run_quickstart(out, seed=0, size=SIZE))


@pytest.mark.slow
def test_every_promised_file_is_there_and_sound(finished):
    out, lines = finished
    promised = [line.split()[0] for line in lines if line.startswith(f"  {out}")]
    assert len(promised) == 3 + len(EXPORTS)
    a, b = (read_manifest(out / name) for name in ("hospital_a", "hospital_b"))
    assert (len(a.images), len(b.images)) == (SIZE.films_a, SIZE.films_b)
    test = set(b.split("test").images["image_id"])
    for name in ("prediction", "prediction_detector_alone"):
        prediction = read_prediction(out / name)
        assert set(prediction.images["image_id"]) == test
        assert (prediction.images["status"] == "ok").all()
        assert len(prediction.boxes) > 0
    assert len(load_bundle(out / "bundle").words.keywords) == 22
    coco = json.loads((out / "boxes.coco.json").read_text())
    assert len(coco["images"]) == len(test)
    assert len(json.loads((out / "boxes.label-studio.json").read_text())) == len(test)
    keys = set(json.loads((out / "evaluation.json").read_text())["metrics"])
    assert {"iou_at_0.25", "iou_at_0.5", "iou_at_0.75"} <= keys
    assert "|" in (out / "evaluation.md").read_text()
    page = (out / "prediction" / "gallery.html").read_text()
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert all(image_id in page for image_id in test)


@pytest.mark.slow
def test_a_second_call_goes_on_without_training_again(finished):
    out, _ = finished
    kept = [
        out / "detector" / "checkpoint.pt",
        out / "detector" / "metrics.jsonl",
        out / "localizer" / "checkpoint.pt",
        out / "localizer" / "metrics.jsonl",
        out / "bundle" / "bundle.json",
    ]
    times = [path.stat().st_mtime_ns for path in kept]
    boxes = (out / "prediction" / "boxes.csv").read_bytes()
    (out / "prediction" / "boxes.csv").unlink()
    list(run_quickstart(out, seed=0, size=SIZE))
    assert [path.stat().st_mtime_ns for path in kept] == times
    assert (out / "prediction" / "boxes.csv").read_bytes() == boxes


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("ten years of work")
    with pytest.raises(DataError, match="expected an empty folder or an earlier quickstart"):
        next(run_quickstart(tmp_path, seed=0, size=SIZE))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
