"""Wrong usage of the experiment commands is told before anything is read or trained."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from data_manifests.support.errors import ConfigError
from experiments.cli.app import app


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["table1", "--preset", "mars", "--out", "w"], "phantom or open or dictation or paper"),
        (["table1", "--preset", "open", "--out", "w"], "--data"),
        (["table1", "--preset", "paper", "--out", "w"], "--boxed"),
        (["table1", "--preset", "phantom", "--out", "w", "--set", "sizes=1"], "sizes"),
        (["table2", "--preset", "paper", "--out", "w"], "phantom or open"),
        (["table2", "--preset", "phantom", "--out", "w", "--method", "x"], "--method"),
        (["figures", "--preset", "paper", "--work", "w", "--out", "f"], "phantom or open"),
        (["ablation", "--preset", "open", "--out", "w"], "phantom"),
        (["ablation", "--out", "w", "--only", "x"], "--only"),
        (["curves", "--preset", "open", "--out", "w"], "phantom"),
    ],
)
def test_the_option_at_fault_is_named(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=said):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert list(tmp_path.iterdir()) == []


def test_every_command_of_the_paper_is_there():
    listed = CliRunner().invoke(app, ["--help"]).stdout
    for name in ("table1", "table2", "figures", "ablation", "curves", "controlled"):
        assert name in listed
