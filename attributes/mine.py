"""Mining a corpus: reports in, `findings.csv` and `attributes.csv` out, in flat memory."""

from __future__ import annotations

import io
import logging
import multiprocessing
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from attributes.lexicon.entries import Lexicon
from attributes.lexicon.load import load_lexicon
from attributes.lexicon.tokens import CONTROL_AS_BLANK
from attributes.reports import Report, ReportReader
from attributes.structure import Structurer
from attributes.targets.keyword_states import keyword_states
from data_manifests.support.atomic import atomic_path, file_sha256, write_json
from data_manifests.support.csv_file import csv_writer
from data_manifests.support.errors import ConfigError
from data_manifests.support.progress_bar import progress_bar

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
FINDING_COLUMNS = (
    "study_id",
    "section",
    "finding",
    "assertion",
    "attributes",
    "sentence",
    "start",
    "end",
)
CHUNK_REPORTS = 400
# Chunks in flight for each worker: enough to keep it busy, few enough to bound the memory.
CHUNKS_AHEAD = 3
# Starting workers costs about a second, the time for some thousand reports.
MIN_REPORTS_FOR_WORKERS = 4 * CHUNK_REPORTS


@dataclass(frozen=True)
class MiningSummary:
    """What a run did: counts of reports, findings (by type and assertion) and skipped rows."""

    reports: int
    findings: int
    skipped: int
    counts: dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class MinedChunk:
    """The two tables of a chunk of reports as CSV text, and its counts."""

    findings: str
    attributes: str
    reports: int
    counts: Counter[tuple[str, str]]


def mine_reports(
    reports: Path,
    out: Path,
    *,
    lexicon: Lexicon,
    workers: int = 1,
    encoding: str = "utf-8",
    skip_bad_rows: bool = False,
) -> MiningSummary:
    """Structure all reports and write `findings.csv`, `attributes.csv` and `mining.json` to `out`.

    `reports` is a manifest folder or a CSV/parquet with `study_id, text[, section]`. Results do not
    depend on `workers`. Nothing is written when a row is bad, unless `skip_bad_rows`: then the
    rest is done and `mining.json` lists the rows left out.

    Raises:
        DataError: unreadable input, with every bad row.
        ConfigError: workers below one.
    """
    if workers < 1:
        raise ConfigError(f"workers: expected 1 or more, got {workers}")
    reader = ReportReader(reports, encoding=encoding)
    counts: Counter[tuple[str, str]] = Counter()
    done = 0
    with (
        atomic_path(out / "findings.csv") as findings_path,
        atomic_path(out / "attributes.csv") as attributes_path,
    ):
        with (
            findings_path.open("w", encoding="utf-8", newline="") as findings_file,
            attributes_path.open("w", encoding="utf-8", newline="") as attributes_file,
            progress_bar(unit=" reports", desc="mining") as bar,
        ):
            findings_file.write(",".join(FINDING_COLUMNS) + "\n")
            attributes_file.write(",".join(("study_id", *lexicon.keyword_names)) + "\n")
            for chunk in _mined_chunks(reader, lexicon, workers):
                findings_file.write(chunk.findings)
                attributes_file.write(chunk.attributes)
                counts.update(chunk.counts)
                done += chunk.reports
                bar.update(chunk.reports)
        if not skip_bad_rows:
            reader.raise_problems()
    if reader.problems:
        logger.warning(
            "%d bad rows of %s were left out; mining.json lists them",
            len(reader.problems),
            reader.path.name,
        )
    summary = MiningSummary(done, sum(counts.values()), len(reader.problems), _nested(counts))
    _write_summary(out, summary, reader, lexicon)
    return summary


def _mined_chunks(reader: Iterable[Report], lexicon: Lexicon, workers: int) -> Iterator[MinedChunk]:
    """The chunks in the order of the input, mined here or by a pool of processes."""
    chunks = _chunked(reader, CHUNK_REPORTS)
    first = list(islice(chunks, MIN_REPORTS_FOR_WORKERS // CHUNK_REPORTS))
    if workers == 1 or len(first) * CHUNK_REPORTS < MIN_REPORTS_FOR_WORKERS:
        structurer = Structurer(lexicon)
        for chunk in first:
            yield mine_chunk(chunk, structurer)
        for chunk in chunks:
            yield mine_chunk(chunk, structurer)
        return
    # spawn: forking a process that has threads (torch, BLAS) is not safe.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start_worker, (str(lexicon.source),)) as pool:
        waiting: deque[Future[MinedChunk]] = deque()
        for source in (first, chunks):
            for chunk in source:
                waiting.append(pool.submit(_mine_in_worker, chunk))
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
    _worker_structurer.append(Structurer(load_lexicon(lexicon_file)))


def _mine_in_worker(chunk: list[Report]) -> MinedChunk:
    return mine_chunk(chunk, _worker_structurer[0])


def mine_chunk(chunk: Sequence[Report], structurer: Structurer) -> MinedChunk:
    """Structure some reports; see `MinedChunk`."""
    findings_text, attributes_text = io.StringIO(), io.StringIO()
    write_finding = csv_writer(findings_text).writerow
    write_states = csv_writer(attributes_text).writerow
    counts: Counter[tuple[str, str]] = Counter()
    lexicon = structurer.lexicon
    for report in chunk:
        found = structurer.structure_sections(report.sections)
        flat = []
        for sentence in found:
            text = sentence.sentence
            if not text.isprintable():
                text = text.translate(CONTROL_AS_BLANK)
            for item in sentence.findings:
                flat.append(item)
                counts[item.finding, item.assertion] += 1
                write_finding(
                    (
                        report.study_id,
                        sentence.section,
                        item.finding,
                        item.assertion,
                        ";".join(item.attributes),
                        text,
                        sentence.start + item.start,
                        sentence.start + item.end,
                    )
                )
        write_states((report.study_id, *keyword_states(flat, lexicon)))
    return MinedChunk(findings_text.getvalue(), attributes_text.getvalue(), len(chunk), counts)


def _nested(counts: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    nested: dict[str, dict[str, int]] = {}
    for (finding, assertion), count in sorted(counts.items()):
        nested.setdefault(finding, {})[assertion] = count
    return nested


def _write_summary(
    out: Path, summary: MiningSummary, reader: ReportReader, lexicon: Lexicon
) -> None:
    write_json(
        out / "mining.json",
        {
            "format_version": FORMAT_VERSION,
            "reports": {"file": reader.path.name, "sha256": file_sha256(reader.path)},
            "lexicon": {"language": lexicon.language, "sha256": lexicon.sha256},
            "keywords": list(lexicon.keyword_names),
            "axes": {keyword.name: keyword.axis for keyword in lexicon.keywords},
            "pneumonia_like": sorted(lexicon.pneumonia_like),
            "studies": summary.reports,
            "findings": summary.findings,
            "counts": summary.counts,
            "skipped_rows": [str(problem) for problem in reader.problems],
        },
    )
