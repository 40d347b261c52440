"""The paper's run: named splits, named tests, leaks refused unless the split says so."""

from __future__ import annotations

import sys

import pandas as pd
import pytest

from data_manifests.support.errors import ConfigError, DataError
from data_manifests.tables.manifest import make_manifest, write_manifest
from experiments.core.manifest_run import ManifestRun, run_manifests
from experiments.core.presets import ManifestPreset, read_preset
from experiments.data.manifest_input import ManifestInput
from experiments.data.paper_input import paper_input

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


def given(folders, tests, split="leak-free") -> ManifestInput:
    return paper_input(folders["boxed"], folders["pairs"], None, tests, split=split)


class Reached(Exception):
    """Raised by the progress callable: the checks are passed."""


def run(films, tmp_path):
    def stop(line):
        raise Reached(line)

    preset = read_preset(ManifestPreset, "paper")
    run_manifests(ManifestRun(films, tmp_path / "out", preset, None, None), stop)


def test_only_test_films_of_a_split_manifest_count(folders):
    films = given(folders, [f"mimic={folders['test']}"])
    assert [test.name for test in films.tests] == ["mimic"]
    assert films.tests[0].films.images["image_id"].tolist() == ["e"]
    assert films.reports == folders["pairs"]
    assert films.allow == ()


def test_a_patient_of_training_in_the_test_stops_the_leak_free_run(folders, tmp_path):
    films = given(folders, [f"nih={folders['leaky']}"])
    with pytest.raises(DataError, match="patient"):
        run(films, tmp_path)


def test_a_package_that_a_method_needs_is_missed_before_anything_is_trained(
    folders, tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "pytorch_grad_cam", None)
    films = given(folders, [f"mimic={folders['test']}"])
    with pytest.raises(ConfigError, match=r"pneumoloc\[cam\]"):
        run(films, tmp_path)
    assert not (tmp_path / "out").exists()


def test_the_papers_split_accepts_the_leak_by_name(folders, tmp_path):
    films = given(folders, [f"nih={folders['leaky']}"], split="paper")
    with pytest.raises(Reached, match="detector"):
        run(films, tmp_path)
    assert "leak" in films.notes[0]


@pytest.mark.parametrize(
    ("tests", "split", "named"),
    [
        ([], "leak-free", "--test"),
        (["nih"], "leak-free", "NAME=MANIFEST"),
        (["=x"], "leak-free", "NAME=MANIFEST"),
        (["nih=x"], "leaky", "--split"),
    ],
)
def test_bad_options_are_named(folders, tests, split, named):
    with pytest.raises(ConfigError, match=named):
        given(folders, tests, split)
