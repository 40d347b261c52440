from __future__ import annotations

import dataclasses
import json
import subprocess

import torch

import detector.run.provenance as module
from detector.run.device import has_bfloat16
from detector.run.provenance import manifest_sha256, provenance
from tests.detector.films import make_films


def test_provenance_names_versions_threads_and_time():
    found = provenance()
    json.dumps(found)
    names = {"python", "torch", "torchvision", "numpy", "git_commit", "threads"}
    assert names <= found.keys()
    assert found["cpu"] == torch.backends.cpu.get_cpu_capability()
    assert found["cpu_bfloat16"] == has_bfloat16(torch.device("cpu"))
    assert found["time_utc"].endswith("+00:00")


def test_the_commit_of_a_repository_around_the_installation_is_not_taken(tmp_path, monkeypatch):
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "x"], cwd=tmp_path, check=True)
    installed = tmp_path / "venv" / "site-packages" / "detector" / "run"
    installed.mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(installed / "provenance.py"))
    assert provenance()["git_commit"] == "unknown"
    own = tmp_path / "detector" / "run"
    own.mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(own / "provenance.py"))
    assert len(provenance()["git_commit"]) == 40


def test_a_manifests_checksum_tells_of_films_and_boxes(tmp_path):
    films = make_films(tmp_path)
    moved = films.boxes.copy()
    moved.loc[0, "x2"] += 1
    other = dataclasses.replace(films, boxes=moved)
    assert manifest_sha256(films) == manifest_sha256(make_films(tmp_path))
    assert manifest_sha256(films) != manifest_sha256(other)
    assert manifest_sha256(films) != manifest_sha256(films.split("train"))
