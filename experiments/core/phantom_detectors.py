"""`train_phantom_detectors`: the detectors of a phantom preset's seeds, trained on any device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from detector.boxed_films import BoxedFilms
from detector.train_from_config import train_from_config
from localize.bundle.packaged import FIRST_BUNDLE
from localize.pipeline.phantom_stages import (
    PhantomSize,
    hospital_a_films,
    phantom_detector_config,
    phantom_fine_tuning,
)


def train_phantom_detectors(
    out: Path,
    seeds: Sequence[int],
    size: PhantomSize,
    *,
    minutes: float | None,
    device: torch.device,
    tell: Callable[[str], None],
) -> dict[int, Path]:
    """Train a detector on hospital A's films of each seed, in the folders `out/seed_N/detector`.

    The training is that of `hospital_a_stage`. Films are held on the device. With `minutes` the
    rate follows the clock, and a training ends after that time even with epochs left.

    Raises:
        ConfigError: the folder holds films of another size.
        DataError, CheckpointError, Interrupted: see `train_from_config`.
    """
    folders = {}
    for seed in seeds:
        folder = out / f"seed_{seed}"
        films = hospital_a_films(folder, seed=seed, size=size)
        training = phantom_fine_tuning(size, seed).model_copy(
            update={"films_on_device": True, "minutes": minutes}
        )
        folders[seed] = folder / "detector"
        train_from_config(
            BoxedFilms.of(films),
            folders[seed],
            config=phantom_detector_config(size),
            training=training,
            initial=FIRST_BUNDLE,
            device=device,
        )
        tell(f"seed {seed}: {folders[seed]}")
    return folders
