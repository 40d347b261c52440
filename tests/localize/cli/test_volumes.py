"""`pneumoloc volumes`: from a phantom to a grounded report on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from data_manifests.support.errors import ConfigError
from localize.cli.volumes import volumes_app

GOLD = Path(__file__).parents[2] / "attributes" / "anomalies" / "ct_gold.csv"


def run(*arguments):
    result = CliRunner().invoke(volumes_app, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A phantom set and a network trained on it for an epoch."""
    folder = tmp_path_factory.mktemp("volumes")
    run("phantom", "--out", folder / "set", "--volumes", 10, "--seed", 3, "--spacing-mm", 10)
    settings = folder / "settings.yaml"
    settings.write_text(
        "network: {spacing_mm: 10, width: 2, dim: 8, text_heads: 2}\n"
        "training: {epochs: 1, patch: [40, 32, 24], text_steps: 2}\n"
    )
    out = run("train", folder / "set", "--out", folder / "run", "--config", settings)
    assert out.startswith("best epoch 1: Dice ")
    return folder


def test_a_report_is_grounded_and_evaluated(folder, tmp_path):
    name = "pv-s3-00000"
    report = tmp_path / "report.txt"
    report.write_text("There is a nodule in the left lower lobe. No pleural effusion.")
    out = run(
        "ground", folder / f"set/ct/{name}.nii.gz", "--report", report, "--model", folder / "run",
        "--anatomy", folder / f"set/anatomy/{name}.nii.gz", "--labels", folder / "set/labels.csv",
        "--out", tmp_path / "out",
    )  # fmt: skip
    assert "1 anomalies mapped, 1 denied or resolved" in out
    table = json.loads((tmp_path / "out/grounding.json").read_text())
    assert [item["type"] for item in table["anomalies"]] == ["nodule"]
    scores = json.loads(run("evaluate", folder / "set", "--model", folder / "run", "--json"))
    assert scores["denied_without_map"] == 1
    assert scores["anomalies"] > 0


def test_a_network_with_organ_labels_asks_for_them(folder, tmp_path):
    report = tmp_path / "report.txt"
    report.write_text("A nodule.")
    with pytest.raises(ConfigError, match="was trained with organ labels, got none"):
        run(
            "ground", folder / "set/ct/pv-s3-00000.nii.gz", "--report", report,
            "--model", folder / "run", "--out", tmp_path / "out",
        )  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_a_used_output_folder_is_refused_before_anything_is_read(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.txt").write_text("x")
    with pytest.raises(ConfigError, match="expected a new or empty folder"):
        run(
            "ground", tmp_path / "no.nii.gz", "--report", tmp_path / "no.txt",
            "--model", tmp_path / "no", "--out", tmp_path / "out",
        )  # fmt: skip


def test_a_finished_training_is_not_trained_over_without_resume(folder):
    with pytest.raises(ConfigError, match="go on with --resume"):
        run("train", folder / "set", "--out", folder / "run")


def test_gold_sentences_are_scored_by_half():
    scores = json.loads(run("score-reports", GOLD, "--json"))
    assert scores["dev"]["texts"] + scores["test"]["texts"] == 159
