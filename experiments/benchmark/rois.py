"""The ROI store: films a second, gigabytes, and how long it takes to open."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from detector.proposals import ProposalOptions
from detector.roi_store import RoiStore, StoreHeader, create_store
from experiments.benchmark.attention import write_random_store
from experiments.benchmark.rows import BenchmarkRow, alternately
from experiments.benchmark.sizes import Bench

SMALL_STORE = 100
GB_FILMS = 10_000
OPENINGS = 20  # one takes about a millisecond


def store_rows(bench: Bench) -> Iterator[BenchmarkRow]:
    """Writing noise as regions; opening a small and a large (sparse, unwritten) store."""
    size = bench.size
    number = itertools.count()

    def write() -> None:
        write_random_store(bench.work / f"store-{next(number)}", size.store_films, size)

    (seconds,) = alternately([write], bench.runs)
    films = f"{size.regions} best and lowest regions of width {size.region_width} a film"
    yield BenchmarkRow(
        name="roi_store_write",
        group="rois",
        what=f"writing a store, {films}",
        ours=size.store_films / seconds,
        unit="films/s",
        runs=bench.runs,
    )
    written = sum(path.stat().st_size for path in (bench.work / "store-0").iterdir())
    yield BenchmarkRow(
        name="roi_store_size",
        group="rois",
        what=f"size of a store, {films}",
        ours=written / size.store_films * GB_FILMS / 1e9,
        unit="GB/10,000 films",
        runs=1,
    )
    stores = [bench.work / f"opened-{films}" for films in (size.store_opened, SMALL_STORE)]
    for folder, count in zip(stores, (size.store_opened, SMALL_STORE), strict=True):
        header = StoreHeader(count, size.regions, size.region_width, "0" * 64, ProposalOptions())
        create_store(folder, [f"film {row}" for row in range(count)], header)

    def open_often(folder: Path) -> None:
        for _ in range(OPENINGS):
            RoiStore(folder).close()

    large, small = alternately([lambda: open_often(stores[0]), lambda: open_often(stores[1])], 5)
    yield BenchmarkRow(
        name="roi_store_open",
        group="rois",
        what=f"opening a store of {size.store_opened} films",
        ours=large / OPENINGS * 1e3,
        baseline=small / OPENINGS * 1e3,
        baseline_is=f"opening one of {SMALL_STORE} films",
        goal="<= 1.50",
        unit="ms",
        runs=5,
    )
