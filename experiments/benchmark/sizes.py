"""`BenchmarkSize` and `Bench`: sizes of the measurements, and their folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from detector.config import DetectorConfig
from localize.volumes.network.config import VolumeSettings


@dataclass(frozen=True)
class BenchmarkSize:
    """Sizes of the measurements; the defaults are those of the goals.

    Films are `film_px` squared phantom films, seen by a `detector` with random weights. `pairs` are
    the paper's training set. `growth` are the numbers of rows of the growth curves, `large` the
    number of films that whole commands are given.
    """

    films: int = 24
    film_px: int = 1024
    detector: DetectorConfig = field(default_factory=lambda: DetectorConfig(is_pretrained=True))
    batch: int = 8
    train_px: int = 256
    train_batch: int = 4
    train_steps: int = 4
    train_workers: int = 1
    attention_batch: int = 128
    regions: int = 100
    region_width: int = 256
    word_width: int = 128
    pairs: int = 11_308
    store_films: int = 500
    store_opened: int = 100_000
    boxes: int = 100_000
    reports: int = 2_000
    mined_reports: int = 40_000  # one process reads fewer too fast to show what a pool gives
    volume_shape: tuple[int, int, int] = (512, 512, 400)
    volume_settings: VolumeSettings = field(default_factory=VolumeSettings)
    growth: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    large: int = 1_000_000


@dataclass(frozen=True)
class Bench:
    """One run of the benchmark: work folder, sizes, number of measured runs, and the user's inputs.

    Without a `bundle` random weights are used; without `reports` those of the phantom.
    """

    work: Path
    size: BenchmarkSize
    runs: int
    bundle: Path | None = None
    reports: Path | None = None
