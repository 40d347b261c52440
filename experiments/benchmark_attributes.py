"""Reports a second of the structurer: rows for `pneumoloc experiment benchmark`."""

from __future__ import annotations

import csv
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from attributes.lexicon import Lexicon, load_lexicon
from attributes.mine import mine_chunk, mine_reports
from attributes.reports import Report, ReportReader
from attributes.structure import Structurer

REPEATS = 3
# One process reads Open-i in half a second; a pool needs more to show what it gives.
POOL_REPORTS = 40_000


@dataclass(frozen=True)
class ThroughputRow:
    """One measurement; `clock` says whether reports were divided by CPU or wall seconds."""

    name: str
    reports: int
    reports_per_second: float
    clock: str
    workers: int


def attribute_rows(
    reports: Path, *, lexicon: str = "en", workers: int = 2, repeats: int = REPEATS
) -> list[ThroughputRow]:
    """Full structuring of `reports` (manifest, CSV), best of `repeats` runs each.

    One process without and with its sentence cache (CPU time, so other programs do not count), and
    mining from file to tables with `workers` processes (wall time; the reports are repeated under
    new ids to POOL_REPORTS, so the cache helps more than in a true corpus).

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
    with tempfile.TemporaryDirectory(prefix="pneumoloc-benchmark-") as folder:
        large = Path(folder) / "reports.csv"
        count = _write_repeated(corpus, large, POOL_REPORTS)
        for number in sorted({1, workers}):
            seconds = min(_mine_seconds(large, Path(folder), words, number) for _ in range(repeats))
            name = f"mined from file to tables, {number} process{'es' if number > 1 else ''}"
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

    best = min(seconds() for _ in range(repeats))
    return ThroughputRow(name, len(corpus), len(corpus) / best, "cpu", 1)


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
