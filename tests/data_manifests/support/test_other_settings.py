"""`refuse_other_settings`: which differences stop, and what the message says."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_manifests.support.errors import ConfigError
from data_manifests.support.other_settings import refuse_other_settings

FOLDER = Path("run")
BEFORE = {"training": {"lr": 0.1, "workers": 0}, "splits": ["train"], "seed": 3}


@pytest.mark.parametrize(
    "now",
    [
        BEFORE,
        {"seed": 3},  # settings of before that are not asked for are no difference
        {"training": {"lr": 0.1, "workers": 8}},  # ignored
        {"splits": ("train",)},  # JSON makes lists of tuples
    ],
)
def test_the_same_settings_pass(now):
    refuse_other_settings(FOLDER, BEFORE, now, ignored=("workers",))


def test_every_difference_is_named_with_both_values():
    now = {"training": {"lr": 0.2, "epochs": 4}, "seed": 3}
    with pytest.raises(ConfigError) as caught:
        refuse_other_settings(FOLDER, BEFORE, now)
    message = str(caught.value)
    assert message.startswith("run: was made with other settings")
    assert "training.lr: 0.1 before, 0.2 now" in message
    assert "training.epochs: None before, 4 now" in message
    assert "seed" not in message
