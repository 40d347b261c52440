"""A gated detector: other scores, the same body and boxes, and no true box of the new hospital."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from attributes.lexicon.load import load_lexicon
from attributes.mine import mine_reports
from data_manifests.support.errors import ConfigError, DataError
from data_manifests.tables.manifest import make_manifest, write_manifest
from detector.detector import load_detector
from detector.run.run_state import write_network
from localize.adaptation.gate_detector import gate_detector, gate_settings
from localize.cli.train import localize_app
from tests.detector.films import make_detector, make_films, tiny_config

CPU = torch.device("cpu")
SHORT = ["training.epochs=2", "training.batch_size=4", "candidates=60"]


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    """Films with reports of either kind, their mined reports, and a detector to start from."""
    folder = tmp_path_factory.mktemp("gate")
    films = make_films(folder / "films", train=8, val=0)
    studies = films.images["study_id"].tolist()
    texts = ["Patchy opacity in the right lower lung.", "No focal opacity."] * 4
    reports = pd.DataFrame(
        [(study, "findings", text) for study, text in zip(studies, texts, strict=True)],
        columns=["study_id", "section", "text"],
    )
    films = make_manifest(
        films.images, films.boxes, reports, films.labels, info=films.info, root=films.root
    )
    write_manifest(films, folder / "films")
    mine_reports(folder / "films", folder / "mined", lexicon=load_lexicon("en"), workers=1)
    write_network(make_detector(), folder / "detector", tiny_config().model_dump(mode="json"))
    return films, folder


def _train(hospital, out, films=None):
    given, folder = hospital
    return gate_detector(
        folder,
        given if films is None else films,
        folder / "mined",
        out,
        settings=gate_settings(SHORT),
        device=CPU,
    )


def test_only_the_classification_tower_changes(hospital, tmp_path):
    done = _train(hospital, tmp_path / "gated")
    assert (done.boxed_films, done.empty_films, done.unlabelled_films) == (4, 4, 0)
    before = load_file(hospital[1] / "detector.safetensors")
    after = load_file(done.folder / "detector.safetensors")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("head.classification_head.") for name in changed)
    assert load_detector(done.folder).config == load_detector(hospital[1]).config
    settings = json.loads((done.folder / "gate.json").read_text())
    assert settings["initial_sha256"] == load_detector(hospital[1]).sha256


def test_true_boxes_are_not_read(hospital, tmp_path):
    films = hospital[0]
    moved = films.boxes.assign(x1=0.0, y1=0.0, x2=5.0, y2=5.0)
    first = _train(hospital, tmp_path / "first")
    second = _train(hospital, tmp_path / "second", replace(films, boxes=moved))
    one, other = (load_file(done.folder / "detector.safetensors") for done in (first, second))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_maps_that_are_there_are_used_again_and_only_for_the_same_films(hospital, tmp_path):
    given, folder = hospital
    again = {"settings": gate_settings(SHORT), "device": CPU, "maps": tmp_path / "maps"}
    gate_detector(folder, given, folder / "mined", tmp_path / "first", **again)
    written = (tmp_path / "maps" / "maps.npy").stat().st_mtime_ns
    gate_detector(folder, given, folder / "mined", tmp_path / "second", **again)
    assert (tmp_path / "maps" / "maps.npy").stat().st_mtime_ns == written
    one, other = (load_file(tmp_path / n / "detector.safetensors") for n in ("first", "second"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    fewer = given.subset((np.arange(8) < 6).tolist())
    gate_detector(folder, fewer, folder / "mined", tmp_path / "third", **again)
    assert len(np.load(tmp_path / "maps" / "maps.npy", mmap_mode="r")) == 6


def test_shuffled_reports_teach_other_scores(hospital, tmp_path):
    given, folder = hospital
    weights = []
    for name, seed in (("own", None), ("shuffled", 3)):
        gate_detector(
            folder,
            _with_two_kinds_of_opacity(given),
            _mined_again(given, tmp_path / name),
            tmp_path / name / "gated",
            settings=gate_settings(SHORT),
            device=CPU,
            shuffle_seed=seed,
        )
        weights.append(load_file(tmp_path / name / "gated" / "detector.safetensors"))
        assert json.loads((tmp_path / name / "gated/gate.json").read_text())["shuffle_seed"] == seed
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_boxes_of_the_old_hospital_teach_other_scores(hospital, tmp_path):
    films, folder = hospital
    weights = []
    for name, boxed in (("rois", None), ("boxes", films)):
        out = tmp_path / name
        gate_detector(
            folder,
            films,
            folder / "mined",
            out,
            settings=gate_settings(SHORT),
            device=CPU,
            boxed=boxed,
        )
        weights.append(load_file(out / "detector.safetensors"))
        assert (json.loads((out / "gate.json").read_text())["boxes_sha256"] is None) == (
            boxed is None
        )
    assert any(not torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_sides_alone_need_boxes_that_say_what_a_side_means(hospital, tmp_path):
    films, folder = hospital
    with pytest.raises(ConfigError, match="sides_alone"):
        gate_detector(
            folder,
            films,
            folder / "mined",
            tmp_path / "out",
            settings=gate_settings(SHORT),
            device=CPU,
            sides_alone=True,
        )
    assert not (tmp_path / "out").exists()


def _with_two_kinds_of_opacity(films):
    texts = ["Patchy opacity in the right lower lung.", "Opacity in the left upper lung."] * 4
    return replace(films, reports=films.reports.assign(text=texts))


def _mined_again(films, folder):
    write_manifest(_with_two_kinds_of_opacity(films), folder / "films")
    mine_reports(folder / "films", folder / "mined", lexicon=load_lexicon("en"), workers=1)
    return folder / "mined"


def test_the_command_teaches_the_films_of_the_split_train_and_says_how_many(hospital, tmp_path):
    folder = hospital[1]
    arguments = ["gate", "--detector", folder, "--manifest", folder / "films"]
    arguments += ["--attributes", folder / "mined", "--out", tmp_path / "gated", "--device", "cpu"]
    arguments += [part for setting in SHORT for part in ("--set", setting)]
    done = CliRunner().invoke(localize_app, [str(one) for one in arguments])
    assert done.exit_code == 0, done.output
    assert "4 films with an opacity, 4 without, 0 left out" in done.output
    assert load_detector(tmp_path / "gated").config == load_detector(folder).config
    again = CliRunner().invoke(localize_app, [str(one) for one in arguments])
    assert isinstance(again.exception, ConfigError)
    arguments[arguments.index(tmp_path / "gated")] = tmp_path / "by_boxes"
    done = CliRunner().invoke(
        localize_app, [str(one) for one in [*arguments, "--boxes", folder / "films"]]
    )
    assert done.exit_code == 0, done.output
    assert json.loads((tmp_path / "by_boxes" / "gate.json").read_text())["boxes_sha256"]


def test_reports_without_an_opacity_are_refused(hospital, tmp_path):
    films = hospital[0]
    clear = films.subset((np.arange(8) % 2 == 1).tolist())
    with pytest.raises(DataError, match="reports that state an opacity"):
        _train(hospital, tmp_path / "none", clear)
