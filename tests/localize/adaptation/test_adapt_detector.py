"""Adapting a detector: what it learns from; true boxes of the new hospital are not read."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from attributes.lexicon.load import load_lexicon
from attributes.mine import mine_reports
from data_manifests.phantom.case import PhantomOptions
from data_manifests.phantom.generate import SplitShares, build_phantom
from data_manifests.support.errors import ConfigError
from data_manifests.tables.manifest import read_manifest, write_manifest
from detector.boxed_films import BoxedFilms
from detector.cli import app as detector_app
from detector.config import DetectorConfig, DetectorTrainConfig
from detector.roi_store import RoiStore
from detector.train_from_config import train_from_config
from localize.adaptation.adapt_detector import Adaptation, AdaptationData, adaptation_settings
from localize.adaptation.controls import label_by_oracle, label_by_score
from localize.adaptation.pseudo_boxes import read_film_rois, vote_box, with_pseudo_boxes
from localize.adaptation.pseudo_labels import label_by_reports
from localize.cli.train import localize_app
from localize.pipeline.stages import adapt_detector_stage, propose_stage
from tests.localize.evaluation.slow_loops import slow_iou

pytestmark = pytest.mark.slow
CPU = torch.device("cpu")
# At 64 px oneDNN leaves parts of a bfloat16 gradient of P7 uninitialised (its input is 1 x 1).
TRAINING = DetectorTrainConfig(
    epochs=1, batch_size=4, ema_decay=0.9, warmup_steps=1, seed=1, precision="float32"
)


@pytest.fixture(scope="module")
def hospitals(tmp_path_factory):
    """A detector of one epoch on hospital A, and hospital B with mined reports."""
    folder = tmp_path_factory.mktemp("hospitals")
    shares = SplitShares(val=0.3, test=0.0)
    for domain, films in (("a", 16), ("b", 24)):
        options = PhantomOptions(size=64, domain=domain.upper(), seed=2, prevalence=0.6)
        build_phantom(folder / domain, options, films=films, shares=shares)
    mine_reports(folder / "b", folder / "mined", lexicon=load_lexicon("en"), workers=1)
    a = read_manifest(folder / "a")
    train_from_config(
        BoxedFilms.of(a),
        folder / "detector",
        config=DetectorConfig(backbone="resnet18", fpn_width=16, image_size=64),
        training=TRAINING,
        device=CPU,
    )
    return folder


def adapt(folder, place, source, pairs=None):
    pairs = pairs or read_manifest(folder / "b")
    data = AdaptationData(
        detector=folder / "detector",
        boxed=read_manifest(folder / "a"),
        pairs=pairs,
        rois=propose_stage(folder / "detector", pairs, place / "rois", device=CPU),
        attributes=folder / "mined",
    )
    adaptation = Adaptation(source=source, training=TRAINING)
    detector = adapt_detector_stage(data, place / "run", adaptation=adaptation, device=CPU)
    return detector, json.loads((detector / "run.json").read_text())


def test_true_boxes_of_the_new_hospital_change_nothing(hospitals, tmp_path):
    b = read_manifest(hospitals / "b")
    blind = with_pseudo_boxes(b, [])
    (_, seeing), (_, not_seeing) = (
        adapt(hospitals, tmp_path / name, "words", films)
        for name, films in (("one", b), ("two", blind))
    )
    assert seeing["data"]["train_sha256"] == not_seeing["data"]["train_sha256"]
    assert seeing["data"]["initial_sha256"] is not None


def test_the_control_takes_as_many_steps_on_the_old_boxes(hospitals, tmp_path):
    (reports, _), (control, run) = (
        adapt(hospitals, tmp_path / source, source) for source in ("finding", "none")
    )
    steps = [
        json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])["step"]
        for folder in (reports, control)
    ]
    assert steps[0] == steps[1]
    a = read_manifest(hospitals / "a").split("train")
    assert run["training"]["epoch_films"] > len(a.images)


def test_a_finished_adaptation_is_used_again(hospitals, tmp_path):
    detector, _ = adapt(hospitals, tmp_path, "own")
    written = (detector / "detector.safetensors").stat().st_mtime_ns
    assert adapt(hospitals, tmp_path, "own")[0] == detector
    assert (detector / "detector.safetensors").stat().st_mtime_ns == written
    with pytest.raises(ConfigError, match="source: 'own' before, 'none' now"):
        adapt(hospitals, tmp_path, "none")


def test_labels_by_score_are_the_best_regions_of_the_share_that_scores_highest(hospitals, tmp_path):
    b = read_manifest(hospitals / "b").split("train")
    rois = propose_stage(hospitals / "detector", b, tmp_path / "rois", device=CPU)
    with RoiStore(rois) as store:
        chosen = label_by_score(b, store, positive_share=0.5).boxes
        films = {name: read_film_rois(store, row) for row, name in enumerate(store.image_ids())}
    tops = {name: film.scores.max() for name, film in films.items()}
    median = np.median(list(tops.values()))
    assert set(chosen["image_id"]) == {name for name, top in tops.items() if top >= median}
    for name, *corners in chosen[["image_id", "x1", "y1", "x2", "y2"]].itertuples(index=False):
        film = films[name]
        expected = vote_box(film, film.scores, int(film.scores.argmax()))
        np.testing.assert_allclose(corners, expected)


def test_oracle_labels_are_voted_from_the_region_that_overlaps_each_true_box_most(
    hospitals, tmp_path
):
    b = read_manifest(hospitals / "b").split("train")
    rois = propose_stage(hospitals / "detector", b, tmp_path / "rois", device=CPU)
    expected = []
    with RoiStore(rois) as store:
        chosen = label_by_oracle(b, store).boxes
        films = {name: read_film_rois(store, row) for row, name in enumerate(store.image_ids())}
    for name, *corners in b.boxes[["image_id", "x1", "y1", "x2", "y2"]].itertuples(index=False):
        film = films[name]
        overlaps = [slow_iou(corners, box) for box in film.xyxy]
        if max(overlaps) > 0:
            expected.append((name, *vote_box(film, film.scores, int(np.argmax(overlaps)))))
    assert len(expected) > 5
    found = list(chosen[["image_id", "x1", "y1", "x2", "y2"]].itertuples(index=False, name=None))
    for one, other in zip(sorted(found), sorted(expected), strict=True):
        assert one[0] == other[0]
        np.testing.assert_allclose(one[1:], other[1:])


def test_overrides_change_single_settings_of_the_default_adaptation():
    found = adaptation_settings("sides", ["training.epochs=7"])
    default = Adaptation().training
    assert found == Adaptation(source="sides", training=default.model_copy(update={"epochs": 7}))
    with pytest.raises(ConfigError, match="epoch"):
        adaptation_settings("words", ["training.epoch=1"])


def test_adapt_gives_the_same_detector_as_report_boxes_and_detector_train(hospitals, tmp_path):
    def run(app, *arguments):
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert done.exit_code == 0, done.output

    pairs = ("--manifest", hospitals / "b", "--attributes", hospitals / "mined")
    films = read_manifest(hospitals / "b")
    store = propose_stage(hospitals / "detector", films, tmp_path / "rois", device=CPU)
    settings = ["training.epochs=1", "training.batch_size=4", "training.precision=float32"]
    settings += ["training.seed=1", "training.warmup_steps=1", "training.ema_decay=0.9"]
    sets = [part for one in settings for part in ("--set", one)]
    run(
        localize_app, "adapt", "--detector", hospitals / "detector", *pairs, "--store", store,
        "--boxes", hospitals / "a", "--out", tmp_path / "adapted", "--device", "cpu", *sets,
    )  # fmt: skip
    boxes = tmp_path / "boxes"
    run(localize_app, "report-boxes", *pairs, "--store", store, "--out", boxes)
    default = Adaptation().training
    rates = ("--set", f"training.lr={default.lr}", "--set", f"training.lr_backbone={default.lr}")
    run(
        detector_app, "train", "--manifest", hospitals / "a", "--manifest", boxes,
        "--initial", hospitals / "detector", "--out", tmp_path / "by_hand", "--device", "cpu",
        *sets, *rates,
    )  # fmt: skip
    for name in ("detector.safetensors", "detector.json", "metrics.jsonl"):
        one, other = (tmp_path / folder / name for folder in ("adapted", "by_hand"))
        assert one.read_bytes() == other.read_bytes()


def test_pseudo_labels_of_films_of_odd_sizes_are_a_valid_manifest(hospitals, tmp_path):
    options = PhantomOptions(size=77, domain="B", seed=5, prevalence=1.0)
    films = build_phantom(
        tmp_path / "odd", options, films=10, shares=SplitShares(val=0.3, test=0.0)
    )
    mine_reports(tmp_path / "odd", tmp_path / "mined", lexicon=load_lexicon("en"), workers=1)
    rois = propose_stage(hospitals / "detector", films, tmp_path / "rois", device=CPU)
    with RoiStore(rois) as store:
        labels = label_by_reports(films, store, tmp_path / "mined").manifest
    write_manifest(labels, tmp_path / "odd_boxes")
    boxes = read_manifest(tmp_path / "odd_boxes").boxes
    assert len(boxes) > 5
    assert boxes[["x2", "y2"]].to_numpy().max() <= 77
