"""Reports a second of the structurer."""

from __future__ import annotations

import csv
import multiprocessing
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from attributes.lexicon.entries import Lexicon
from attributes.lexicon.load import load_lexicon
from attributes.mine import mine_reports
from attributes.mined_chunk import mine_chunk
from attributes.reports import Report, ReportReader
from attributes.structure import Structurer
from data_manifests.phantom.case import MIN_SIZE, PhantomOptions, make_case
from data_manifests.support.temporary import temporary_folder
from experiments.benchmark.rows import BenchmarkRow
from experiments.benchmark.sizes import Bench

GOAL_PER_SECOND = 5_000.0
MINED = "mined from file to tables, {count}"


@dataclass(frozen=True)
class ThroughputRow:
    """One measurement; `clock` says whether reports were divided by CPU or wall seconds."""

    name: str
    reports: int
    reports_per_second: float
    clock: str
    workers: int


def structuring_rows(bench: Bench) -> Iterator[BenchmarkRow]:
    """Full structuring of the user's reports, or of the phantom's."""
    source, name = bench.reports, "the user's reports"
    if source is None:
        source, name = bench.work / "reports.csv", "phantom reports"
        write_phantom_reports(source, bench.size.reports)
    measured = throughput(source, repeats=bench.runs, at_least=bench.size.mined_reports)
    for row in measured:
        is_named = row.workers > 1 and "cold" in row.name  # repeated reports flatter the cache
        yield BenchmarkRow(
            name="reports_per_second" if is_named else f"reports_{row.name.replace(' ', '_')}",
            group="attributes",
            what=f"{row.name}; {row.reports} {name}, {row.clock} seconds",
            ours=row.reports_per_second,
            baseline=GOAL_PER_SECOND if is_named else None,
            baseline_is="the goal" if is_named else "",
            goal=">= 1.00" if is_named else "",
            unit="reports/s",
            runs=bench.runs,
        )


def write_phantom_reports(path: Path, count: int) -> None:
    """Reports of the phantom's hospital B on small films."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = PhantomOptions(size=MIN_SIZE, domain="B")
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(("study_id", "section", "text"))
        for index in range(count):
            for section in make_case(options, index).report.sections:
                writer.writerow((f"study-{index:06d}", section.name, section.text))


def throughput(
    reports: Path, *, repeats: int, lexicon: str = "en", workers: int = 2, at_least: int = 40_000
) -> list[ThroughputRow]:
    """Full structuring of `reports` (manifest, CSV), medians of `repeats` runs.

    One process without and with its sentence cache (CPU time, so other programs do not count);
    `workers` processes at once, each structuring all reports from an empty cache (wall time); and
    mining from file to tables with `workers` processes (wall time; the reports are repeated under
    new ids to `at_least`, so the cache helps more than in a true corpus).

    Raises:
        DataError: unreadable reports.
    """
    words = load_lexicon(lexicon)
    reader = ReportReader(reports)
    corpus = list(reader)
    reader.raise_problems()
    rows = [
        _one_process(corpus, words, repeats, cached=0, name="structured, no cache"),
        _one_process(corpus, words, repeats, cached=50_000, name="structured, cache cold at start"),
    ]
    together = median(_rate_together(corpus, lexicon, workers) for _ in range(repeats))
    name = f"structured, {workers} processes at once, caches cold at start"
    rows.append(ThroughputRow(name, workers * len(corpus), together, "wall", workers))
    with temporary_folder("pneumoloc-benchmark") as folder:
        large = Path(folder) / "reports.csv"
        count = _write_repeated(corpus, large, at_least)
        for number in sorted({1, workers}):
            seconds = median(
                _mine_seconds(large, Path(folder), words, number) for _ in range(repeats)
            )
            name = MINED.format(count=f"{number} process{'es' if number > 1 else ''}")
            rows.append(ThroughputRow(name, count, count / seconds, "wall", number))
    return rows


def _one_process(
    corpus: Sequence[Report], lexicon: Lexicon, repeats: int, *, cached: int, name: str
) -> ThroughputRow:
    def seconds() -> float:
        structurer = Structurer(lexicon, cached_sentences=cached)
        start = time.process_time()
        mine_chunk(corpus, structurer)
        return time.process_time() - start

    middle = median(seconds() for _ in range(repeats))
    return ThroughputRow(name, len(corpus), len(corpus) / middle, "cpu", 1)


def _rate_together(corpus: Sequence[Report], lexicon: str, workers: int) -> float:
    """Reports a second of all processes, from the first's start to the last's end."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(workers)
    with context.Pool(workers, _keep_barrier, (barrier,)) as pool:
        spans = pool.starmap(_cold_span, [(corpus, lexicon)] * workers, chunksize=1)
    seconds = max(end for _, end in spans) - min(start for start, _ in spans)
    return workers * len(corpus) / seconds


_barrier: threading.Barrier | None = None


def _keep_barrier(barrier: threading.Barrier) -> None:
    global _barrier
    _barrier = barrier


def _cold_span(corpus: Sequence[Report], lexicon: str) -> tuple[float, float]:
    structurer = Structurer(load_lexicon(lexicon))
    if _barrier is not None:
        _barrier.wait(timeout=120)
    start = time.monotonic()  # one clock for all processes of a machine
    mine_chunk(corpus, structurer)
    return start, time.monotonic()


def _mine_seconds(reports: Path, folder: Path, lexicon: Lexicon, workers: int) -> float:
    start = time.perf_counter()
    mine_reports(reports, folder / "out", lexicon=lexicon, workers=workers)
    return time.perf_counter() - start


def _write_repeated(corpus: Sequence[Report], path: Path, at_least: int) -> int:
    """Write the corpus again and again under new ids until it has `at_least` reports."""
    written = 0
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(("study_id", "section", "text"))
        while corpus and written < at_least:
            for report in corpus:
                for section, text in report.sections:
                    writer.writerow((f"{report.study_id}-{written}", section, text))
                written += 1
    return written
