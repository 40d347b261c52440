"""Training of the lung network: it learns, and a stopped training ends in the same bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from data_manifests.support.errors import ConfigError, DataError, Interrupted
from detector.lungs.config import LungNetworkConfig, LungTrainConfig
from detector.lungs.masked_films import SIDE, UNKNOWN, MaskedFilms, square_mask
from detector.lungs.train import train_lungs
from detector.run.training_run import TrainingRun

CONFIG = LungNetworkConfig(image_size=32, widths=(8, 16))
CPU = torch.device("cpu")


def planted_films(count, seed):
    """Bright rectangles on a dark film: right lung, left lung; the heart is not known."""
    rng = np.random.default_rng(seed)
    masks = np.zeros((count, 3, SIDE, SIDE), np.uint8)
    for film in masks:
        top, bottom = rng.integers(20, 50), rng.integers(130, 170)
        film[0, top:bottom, 20 : rng.integers(70, 85)] = 1
        film[1, top:bottom, rng.integers(105, 120) : 170] = 1
        film[2] = UNKNOWN
    pixels = (masks[:, :2].max(axis=1) * 150 + 40).astype(np.uint8)
    ids = tuple(f"film-{seed}-{k}" for k in range(count))
    return MaskedFilms(ids, ("a",) * count, pixels, masks)


def train(folder, *, val=None, **settings):
    training = LungTrainConfig(
        **{"batch_size": 4, "warmup_steps": 2, "validate_every": 3, **settings}
    )
    return train_lungs(
        planted_films(6, 0),
        val or planted_films(2, 1),
        folder,
        config=CONFIG,
        training=training,
        device=CPU,
    )


def test_bright_rectangles_are_learned(tmp_path):
    scores = train(
        tmp_path, steps=45, batch_size=6, lr=1e-2, ema_decay=0.9, white_out=0, other_pictures=0
    )
    assert scores.dice_right > 0.7
    assert scores.dice_left > 0.7
    assert scores.dice_heart is None


def test_stopped_training_ends_in_the_same_bits(tmp_path, monkeypatch):
    train(tmp_path / "whole", steps=7)
    seen = []
    was = TrainingRun.is_interrupted

    def interrupt_fifth(run):
        seen.append(run)
        run._signal = 2 if len(seen) == 5 else 0
        return was.fget(run)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "is_interrupted", property(interrupt_fifth))
        with pytest.raises(Interrupted):
            train(tmp_path / "stopped", steps=7)
    train(tmp_path / "stopped", steps=7)
    whole, stopped = (
        load_file(tmp_path / name / "lungs.safetensors") for name in ("whole", "stopped")
    )
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)
    lines = [
        (tmp_path / name / "metrics.jsonl").read_text("utf-8") for name in ("whole", "stopped")
    ]
    assert lines[0] == lines[1]


def test_other_films_are_refused_in_an_old_folder(tmp_path):
    train(tmp_path, steps=3)
    with pytest.raises(ConfigError, match="val_sha256"):
        train(tmp_path, steps=3, val=planted_films(2, 2))


def test_no_films_are_refused():
    with pytest.raises(DataError, match="expected arrays"):
        MaskedFilms((), (), np.zeros((0, SIDE, SIDE), np.uint8), np.zeros((0, 3, SIDE, SIDE)))


def test_mask_is_unknown_where_the_source_does_not_say():
    mask, known = np.zeros((50, 40), bool), np.ones((50, 40), bool)
    mask[10:30, 5:20], known[40:] = True, False
    found = square_mask(mask, known)
    assert found.shape == (SIDE, SIDE)
    assert found[SIDE // 2 - 20, SIDE // 4] == 1
    assert (found[-30:] == UNKNOWN).all()
    assert set(np.unique(found)) == {0, 1, UNKNOWN}
