"""The paper's run: named splits, named tests, leaks refused unless the split says so."""

from __future__ import annotations

import sys

import pandas as pd
import pytest
from experiments.core.films_run import FilmsInput, run_films
from experiments.core.paper_run import paper_input, split_note

from data_manifests.support.errors import ConfigError, DataError
from data_manifests.tables.manifest import make_manifest, write_manifest
from experiments.core.presets import FilmsPreset, read_preset

NIH_IN_RSNA = "00013118_008"  # of the shipped list


def folder_of(path, image_ids, patients, splits):
    images = pd.DataFrame(
        {
            "image_id": image_ids,
            "patient_id": patients,
            "study_id": [f"s-{i}" for i in image_ids],
            "path": [f"{i}.png" for i in image_ids],
            "split": splits,
        }
    )
    write_manifest(make_manifest(images), path)
    return path


@pytest.fixture
def folders(tmp_path):
    return {
        "boxed": folder_of(tmp_path / "boxed", ["a", "b"], ["1", "2"], ["train", "val"]),
        "pairs": folder_of(tmp_path / "pairs", ["c", "d"], ["3", "4"], ["train", "val"]),
        "test": folder_of(tmp_path / "test", ["e", "f"], ["5", "1"], ["test", "train"]),
        "leaky": folder_of(tmp_path / "leaky", ["g"], ["1"], [""]),
    }


def given(folders, tests, split="leak-free") -> FilmsInput:
    return paper_input(folders["boxed"], folders["pairs"], None, tests, split=split)


def steps(films, tmp_path):
    preset = read_preset(FilmsPreset, "paper")
    return run_films(films, tmp_path / "out", preset=preset, backbone_weights=None, device=None)


def test_only_test_films_of_a_split_manifest_count(folders):
    films = given(folders, [f"mimic={folders['test']}"])
    assert [test.name for test in films.tests] == ["mimic"]
    assert films.tests[0].films.images["image_id"].tolist() == ["e"]
    assert films.reports == folders["pairs"]
    assert films.allow == ()


def test_a_patient_of_training_in_the_test_stops_the_leak_free_run(folders, tmp_path):
    films = given(folders, [f"nih={folders['leaky']}"])
    with pytest.raises(DataError, match="patient"):
        next(steps(films, tmp_path))


def test_a_package_that_a_method_needs_is_missed_before_anything_is_trained(
    folders, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "pytorch_grad_cam", None)
    films = given(folders, [f"mimic={folders['test']}"])
    with pytest.raises(ConfigError, match=r"pneumoloc\[cam\]"):
        next(steps(films, tmp_path))
    assert not (tmp_path / "out").exists()


def test_the_papers_split_accepts_the_leak_by_name(folders, tmp_path):
    films = given(folders, [f"nih={folders['leaky']}"], split="paper")
    assert "detector" in next(steps(films, tmp_path))  # past the check
    assert "leak" in split_note("paper")[0]


@pytest.mark.parametrize(
    ("tests", "split", "said"),
    [
        ([], "leak-free", "--test"),
        (["nih"], "leak-free", "NAME=MANIFEST"),
        (["=x"], "leak-free", "NAME=MANIFEST"),
        (["nih=x"], "leaky", "--split"),
    ],
)
def test_bad_options_are_named(folders, tests, split, said):
    with pytest.raises(ConfigError, match=said):
        given(folders, tests, split)
