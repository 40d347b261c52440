"""Wrong usage of the experiment commands is refused before anything is read or trained."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from data_manifests.support.errors import ConfigError, DataError
from experiments.cli.app import app


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["table1", "--preset", "open", "--out", "w"], "--data"),
        (["table1", "--preset", "paper", "--out", "w"], "--boxed"),
        (["table1", "--preset", "phantom", "--out", "w", "--set", "sizes=1"], "sizes"),
        (["table2", "--preset", "phantom", "--out", "w", "--method", "x"], "--method"),
        (["ablation", "--out", "w", "--only", "x"], "--only"),
        (["pages", "w.json"], "w.json"),
    ],
)
def test_the_option_at_fault_is_named(arguments, named, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ConfigError, DataError), match=named):
        CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "choices"),
    [
        (["table1", "--preset", "mars", "--out", "w"], "phantom open dictation paper"),
        (["table1", "--preset", "paper", "--out", "w", "--split", "x"], "leak-free paper"),
        (["table2", "--preset", "paper", "--out", "w"], "phantom open"),
        (["figures", "--preset", "paper", "--work", "w", "--out", "f"], "phantom open"),
        (["controlled", "--preset", "open", "--out", "w"], "phantom finished many-pairs"),
    ],
)
def test_an_unknown_choice_is_refused_with_those_there_are(arguments, choices):
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    for choice in choices.split():
        assert f"'{choice}'" in result.output
