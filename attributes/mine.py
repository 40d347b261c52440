"""`mine_reports`: a corpus of reports as `findings.csv` and `attributes.csv`, in flat memory."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TextIO

from attributes.lexicon.entries import Lexicon
from attributes.lexicon.load import load_lexicon
from attributes.mined_chunk import FINDING_COLUMNS, MinedChunk, TableOptions, mine_chunk
from attributes.reports import Report, ReportReader
from attributes.structure import Structurer
from attributes.targets.chexpert import CHEXPERT_LABELS
from data_manifests.support.atomic import atomic_path, file_sha256, write_json
from data_manifests.support.errors import ConfigError
from data_manifests.support.progress_bar import progress_bar
from data_manifests.support.worker_pool import worker_pool

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
CHUNK_REPORTS = 400
# Chunks in flight for each worker: enough to keep it busy, few enough to bound the memory.
CHUNKS_AHEAD = 3
# Starting workers costs about a second, the time for some thousand reports.
MIN_REPORTS_FOR_WORKERS = 4 * CHUNK_REPORTS


# Unread studies that `mining.json` lists for each reason; all are counted.
MAX_LISTED = 1000


@dataclass(frozen=True)
class MiningSummary:
    """What a run did: counts of reports, findings (by type and assertion) and skipped rows.

    `unread`: reason -> number of studies of which nothing was read; `overruled`: findings that the
    impression overruled.
    """

    reports: int
    findings: int
    skipped: int
    counts: dict[str, dict[str, int]]
    unread: dict[str, int] = field(default_factory=dict)
    overruled: int = 0


def mine_reports(
    reports: Path,
    out: Path,
    *,
    lexicon: Lexicon,
    workers: int = 1,
    skip_bad_rows: bool = False,
    reader: ReportReader | None = None,
    tables: TableOptions | None = None,
) -> MiningSummary:
    """Structure all reports and write `findings.csv`, `attributes.csv` and `mining.json` to `out`.

    `reports` is anything that `ReportReader` reads; a `reader` of its own gives encoding and column
    names. Results do not depend on `workers`. Nothing is written when a row is bad, unless
    `skip_bad_rows`: then the rest is done and `mining.json` lists the rows left out. A study of
    which nothing was read has the state `unread` for all keywords: its targets are masked.

    Raises:
        DataError: unreadable input, with every bad row.
        ConfigError: workers below one.
        WorkerDied: a worker process was killed; nothing is written.
    """
    if workers < 1:
        raise ConfigError(f"workers: expected 1 or more, got {workers}")
    reader = reader or ReportReader(reports)
    options = tables or TableOptions()
    counts: Counter[tuple[str, str]] = Counter()
    unread: dict[str, list[str]] = {}
    number_unread: Counter[str] = Counter()
    done = overruled = 0
    headers = {
        "findings.csv": FINDING_COLUMNS,
        "attributes.csv": ("study_id", *lexicon.keyword_names),
        "chexpert.csv": ("study_id", *CHEXPERT_LABELS),
    }
    if not options.chexpert:
        del headers["chexpert.csv"]
    with ExitStack() as stack:
        files: dict[str, TextIO] = {}
        for name, columns in headers.items():
            path = stack.enter_context(atomic_path(out / name))
            files[name] = stack.enter_context(path.open("w", encoding="utf-8", newline=""))
            files[name].write(",".join(columns) + "\n")
        bar = stack.enter_context(progress_bar(unit=" reports", desc="mining"))
        for chunk in _mined_chunks(reader, lexicon, workers, options):
            files["findings.csv"].write(chunk.findings)
            files["attributes.csv"].write(chunk.attributes)
            if options.chexpert:
                files["chexpert.csv"].write(chunk.chexpert)
            counts.update(chunk.counts)
            for study_id, reason in chunk.unread:
                number_unread[reason] += 1
                if number_unread[reason] <= MAX_LISTED:
                    unread.setdefault(reason, []).append(study_id)
            done += chunk.reports
            overruled += chunk.overruled
            bar.update(chunk.reports)
        if not skip_bad_rows:
            reader.raise_problems()
    if reader.problems:
        logger.warning(
            "%d bad rows of %s were left out; mining.json lists them",
            len(reader.problems),
            reader.path.name,
        )
    if number_unread:
        reasons = ", ".join(f"{count} {reason}" for reason, count in number_unread.items())
        logger.warning(
            "nothing was read of %d of %d studies (%s); their targets are masked, "
            "mining.json lists them, `pneumoloc attributes explain` shows why",
            number_unread.total(),
            done,
            reasons,
        )
    summary = MiningSummary(
        reports=done,
        findings=sum(counts.values()),
        skipped=len(reader.problems),
        counts=_nested(counts),
        unread=dict(number_unread),
        overruled=overruled,
    )
    _write_summary(out, summary, reader, lexicon, unread)
    return summary


def _mined_chunks(
    reader: Iterable[Report], lexicon: Lexicon, workers: int, options: TableOptions
) -> Iterator[MinedChunk]:
    """The chunks in the order of the input, mined here or by a pool of processes."""
    chunks = _chunked(reader, CHUNK_REPORTS)
    first = list(islice(chunks, MIN_REPORTS_FOR_WORKERS // CHUNK_REPORTS))
    if workers == 1 or len(first) * CHUNK_REPORTS < MIN_REPORTS_FOR_WORKERS:
        structurer = Structurer(lexicon, extended=True)
        for chunk in first:
            yield mine_chunk(chunk, structurer, options)
        for chunk in chunks:
            yield mine_chunk(chunk, structurer, options)
        return
    with worker_pool(workers, partial(_start_worker, str(lexicon.source))) as pool:
        waiting: deque[Future[MinedChunk]] = deque()
        for source in (first, chunks):
            for chunk in source:
                waiting.append(pool.submit(_mine_in_worker, chunk, options))
                if len(waiting) >= workers * CHUNKS_AHEAD:
                    yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _chunked(reports: Iterable[Report], size: int) -> Iterator[list[Report]]:
    iterator = iter(reports)
    while chunk := list(islice(iterator, size)):
        yield chunk


_worker_structurer: list[Structurer] = []  # one a process, made once by the pool


def _start_worker(lexicon_file: str) -> None:
    _worker_structurer.append(Structurer(load_lexicon(lexicon_file), extended=True))


def _mine_in_worker(chunk: list[Report], options: TableOptions) -> MinedChunk:
    return mine_chunk(chunk, _worker_structurer[0], options)


def _nested(counts: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    nested: dict[str, dict[str, int]] = {}
    for (finding, assertion), count in sorted(counts.items()):
        nested.setdefault(finding, {})[assertion] = count
    return nested


def _write_summary(
    out: Path,
    summary: MiningSummary,
    reader: ReportReader,
    lexicon: Lexicon,
    unread: dict[str, list[str]],
) -> None:
    write_json(
        out / "mining.json",
        {
            "format_version": FORMAT_VERSION,
            "reports": {
                "file": reader.path.name,
                "sha256": file_sha256(reader.path) if reader.path.is_file() else "",
            },
            "lexicon": {"language": lexicon.language, "sha256": lexicon.sha256},
            "keywords": list(lexicon.keyword_names),
            "axes": {keyword.name: keyword.axis for keyword in lexicon.keywords},
            "pneumonia_like": sorted(lexicon.pneumonia_like),
            "studies": summary.reports,
            "findings": summary.findings,
            "counts": summary.counts,
            "unread": {
                reason: {"studies": count, "listed": unread[reason]}
                for reason, count in summary.unread.items()
            },
            "overruled": summary.overruled,
            "skipped_rows": [str(problem) for problem in reader.problems],
        },
    )
