"""`pneumoloc attributes`: mine, vectors, targets, score, explain, stats."""

from __future__ import annotations

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from attributes.reports import ReportReader

app = typer.Typer(
    help="Reports: findings, attributes, targets and word vectors.", no_args_is_help=True
)

Out = Annotated[Path, typer.Option("--out", help="Folder for the results.")]
LexiconOption = Annotated[
    str, typer.Option("--lexicon", help="Language (en, es) or your own YAML file.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Encoding = Annotated[
    str, typer.Option("--encoding", help="Encoding of text files: utf-8, latin-1, utf-16, ...")
]
Reports = Annotated[
    Path,
    typer.Argument(
        help="Manifest folder, CSV or TSV (.gz), JSONL, parquet, or a folder of .txt files."
    ),
]
IdColumn = Annotated[str, typer.Option(help="Column of the study's identifier.")]
TextColumn = Annotated[str, typer.Option(help="Column of the report's text.")]
SectionColumn = Annotated[str, typer.Option(help="Column of the section's name, if there is one.")]


class OnError(StrEnum):
    """What a bad row does."""

    fail = "fail"
    skip = "skip"


class Uncertain(StrEnum):
    """What becomes of uncertain CheXpert labels."""

    keep = "keep"
    ones = "ones"
    zeros = "zeros"
    ignore = "ignore"


class Half(StrEnum):
    """Which half of the labelled reports, by the hash of their ids."""

    all = "all"
    tune = "tune"
    held = "held"


@app.command()
def mine(
    reports: Reports,
    out: Out,
    lexicon: LexiconOption = "en",
    workers: Annotated[int, typer.Option(help="Processes; 0 is one a core.")] = 0,
    encoding: Encoding = "utf-8",
    id_column: IdColumn = "study_id",
    text_column: TextColumn = "text",
    section_column: SectionColumn = "section",
    on_error: Annotated[OnError, typer.Option(help="What a bad row does.")] = OnError.fail,
    impression_wins: Annotated[
        bool,
        typer.Option("--impression-wins", help="The impression overrules other sections."),
    ] = False,
    extended: Annotated[
        bool, typer.Option("--extended", help="Also mass, fracture, pleural_other, ... .")
    ] = False,
    chexpert: Annotated[
        Uncertain | None,
        typer.Option(help="Also write chexpert.csv, with this rule for uncertain labels."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Turn reports into findings.csv (one row a finding) and attributes.csv (one row a study)."""
    from dataclasses import asdict

    from attributes.lexicon.load import load_lexicon
    from attributes.mine import mine_reports
    from attributes.mined_chunk import TableOptions

    summary = mine_reports(
        reports,
        out,
        lexicon=load_lexicon(lexicon),
        workers=workers or _cores(),
        skip_bad_rows=on_error is OnError.skip,
        reader=_reader(reports, encoding, id_column, text_column, section_column),
        tables=TableOptions(extended, impression_wins, chexpert.value if chexpert else ""),
    )
    if as_json:
        typer.echo(json.dumps(asdict(summary)))
        return
    unread = f", {sum(summary.unread.values())} unread" if summary.unread else ""
    typer.echo(
        f"{summary.reports} reports, {summary.findings} findings, "
        f"{summary.skipped} rows skipped{unread} -> {out}"
    )


@app.command()
def vectors(
    reports: Reports,
    out: Out,
    lexicon: LexiconOption = "en",
    negatives: Annotated[str, typer.Option(help="w2v-axis, w2v-any or fixed.")] = "w2v-axis",
    dim: Annotated[int, typer.Option(help="Length of a vector.")] = 128,
    epochs: Annotated[int, typer.Option(help="Passes over the text; 0 chooses by its size.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the training.")] = 0,
    report: Annotated[
        bool, typer.Option("--report", help="Also show neighbours, negatives, and their stability.")
    ] = False,
    seeds: Annotated[int, typer.Option(help="Seeds that --report compares.")] = 5,
    encoding: Encoding = "utf-8",
    id_column: IdColumn = "study_id",
    text_column: TextColumn = "text",
    section_column: SectionColumn = "section",
    as_json: Json = False,
) -> None:
    """Train word vectors on reports and choose a negative for every keyword."""
    from attributes.lexicon.load import load_lexicon
    from attributes.vectors.word_vectors import (
        VectorOptions,
        train_word_vectors,
        write_word_vectors,
    )

    options = VectorOptions(dim=dim, epochs=epochs, seed=seed, negatives=negatives)
    reader = _reader(reports, encoding, id_column, text_column, section_column)
    words = load_lexicon(lexicon)
    trained = train_word_vectors(reader, words, options)
    write_word_vectors(trained, out)
    pairs = {
        name: trained.keywords[index]
        for name, index in zip(trained.keywords, trained.negatives, strict=True)
    }
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "negatives": pairs,
                    "untrained": trained.untrained,
                    "corpus_sha256": trained.corpus_sha256,
                }
            )
        )
        return
    if report:
        from attributes.vectors.vector_report import report_text, report_vectors
        from data_manifests.support.atomic import write_text

        text = report_text(report_vectors(reader, words, options, seeds=seeds), seeds=seeds)
        write_text(out / "vectors_report.txt", text + "\n")
        typer.echo(text)
        return
    for name, negative in pairs.items():
        typer.echo(f"{name:13} {negative}")


@app.command()
def score(
    gold: Annotated[
        list[Path] | None, typer.Option("--gold", help="CSV of gold sentences; repeatable.")
    ] = None,
    cases: Annotated[
        Path | None,
        typer.Option(help="Folder with sentences.csv and whole_reports.json, in any language."),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="CSV of report labels (NegBio's columns).")
    ] = None,
    reports: Annotated[
        Path | None, typer.Option("--reports", help="The reports that --labels is about.")
    ] = None,
    half: Annotated[Half, typer.Option(help="Which reports of --labels.")] = Half.all,
    lexicon: LexiconOption = "en",
    worst: Annotated[int, typer.Option(help="How many errors to show with their text.")] = 10,
    as_json: Json = False,
) -> None:
    """Score the structurer against gold sentences, cases, or labels of whole reports."""
    from attributes.lexicon.load import load_lexicon
    from attributes.reports import ReportReader
    from attributes.scoring.case_score import read_cases, score_cases
    from attributes.scoring.gold_score import score_gold
    from attributes.scoring.gold_sentences import read_gold
    from attributes.scoring.report_labels import read_report_labels, score_report_labels
    from attributes.scoring.score_tables import (
        cases_as_data,
        cases_as_text,
        gold_as_data,
        gold_as_text,
        labels_as_data,
        labels_as_text,
    )
    from attributes.structure import Structurer
    from data_manifests.support.errors import ConfigError

    given = [bool(gold), bool(cases), bool(labels)]
    if given.count(True) != 1 or bool(labels) != bool(reports):
        raise ConfigError(
            "score: expected --gold FILE, --cases FOLDER, or --labels FILE with --reports REPORTS"
        )
    if cases:
        scored = score_cases(read_cases(cases))
        typer.echo(
            json.dumps(cases_as_data(scored)) if as_json else cases_as_text(scored, worst=worst)
        )
        return
    structurer = Structurer(load_lexicon(lexicon))
    if gold:
        sentences = [sentence for path in gold for sentence in read_gold(path, structurer.lexicon)]
        result = score_gold(sentences, structurer)
        typer.echo(
            json.dumps(gold_as_data(result)) if as_json else gold_as_text(result, worst=worst)
        )
    elif labels and reports:
        scores = score_report_labels(
            ReportReader(reports), read_report_labels(labels), structurer, half=half.value
        )
        typer.echo(
            json.dumps(labels_as_data(scores)) if as_json else labels_as_text(scores, worst=worst)
        )


@app.command()
def explain(
    report: Annotated[Path, typer.Argument(help="A text file, or reports with --study.")],
    study: Annotated[str, typer.Option(help="The study to explain, when REPORT holds many.")] = "",
    html: Annotated[
        Path | None, typer.Option(help="Write a self-contained HTML page here.")
    ] = None,
    lexicon: LexiconOption = "en",
    encoding: Encoding = "utf-8",
    extended: Annotated[
        bool, typer.Option("--extended", help="Also mass, fracture, pleural_other, ... .")
    ] = False,
    colour: Annotated[bool, typer.Option("--colour/--plain", help="Colours or signs.")] = True,
    as_json: Json = False,
) -> None:
    """Show a report with its findings, rules, attributes and skipped parts."""
    from attributes.explain import explain_html, explain_text
    from attributes.lexicon.load import load_lexicon
    from attributes.report_findings import findings_of_sections
    from attributes.reports import read_one_report
    from attributes.structure import Structurer
    from attributes.trace import skipped_parts, trace_report
    from data_manifests.support.atomic import write_text

    structurer = Structurer(load_lexicon(lexicon), extended=extended)
    one = read_one_report(report, study, encoding=encoding)
    traces = trace_report(one.sections, structurer)
    skipped = skipped_parts(one.sections, structurer)
    if html:
        language = structurer.lexicon.language
        write_text(html, explain_html(traces, skipped, title=one.study_id, language=language))
    if as_json:
        found = findings_of_sections(one.sections, structurer)
        reason = "" if found else structurer.why_unread(one.sections)
        content = {
            "study_id": one.study_id,
            "findings": [finding.to_dict() for finding in found],
            "skipped": [{"section": part.name, "text": part.text} for part in skipped],
            "unread": reason,
        }
        typer.echo(json.dumps(content, ensure_ascii=False))
        return
    typer.echo(explain_text(traces, skipped, colour=colour))


@app.command()
def stats(
    source: Annotated[Path, typer.Argument(help="Folder of `attributes mine`, or reports.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Write stats.csv and stats.png.")
    ] = None,
    lexicon: LexiconOption = "en",
    encoding: Encoding = "utf-8",
    as_json: Json = False,
) -> None:
    """Count how often every keyword is affirmed, hedged, resolved and negated."""
    from attributes.lexicon.load import load_lexicon
    from attributes.reports import ReportReader
    from attributes.scoring.corpus_stats import (
        count_corpus,
        plot_stats,
        rows_of_mined,
        rows_of_reports,
        stats_text,
    )
    from attributes.structure import Structurer
    from data_manifests.support.csv_file import write_csv

    words = load_lexicon(lexicon)
    if (source / "findings.csv").is_file():
        counted = count_corpus(rows_of_mined(source), words)
    else:
        reader = ReportReader(source, encoding=encoding)
        counted = count_corpus(rows_of_reports(reader, Structurer(words)), words)
        reader.raise_problems()
    if out:
        write_csv(out / "stats.csv", counted.keywords)
        plot_stats(counted, out / "stats.png")
    if as_json:
        tables = {
            name: getattr(counted, name).to_dict("records") for name in ("keywords", "findings")
        }
        typer.echo(json.dumps({"studies": counted.studies} | tables))
    else:
        typer.echo(stats_text(counted))


@app.command()
def targets(
    mined: Annotated[Path, typer.Argument(help="Folder of `attributes mine`.")],
    truth: Annotated[
        Path | None, typer.Option(help="A phantom's manifest: compare with what its films show.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what each target policy makes of mined reports, and what it costs on a phantom."""
    from dataclasses import asdict

    from attributes.targets.policy_audit import audit_policies, audit_text

    audits = audit_policies(mined, truth)
    if as_json:
        rows = [asdict(audit) | {"error_rate": audit.error_rate} for audit in audits]
        typer.echo(json.dumps(rows))
    else:
        typer.echo(audit_text(audits))


def _reader(
    reports: Path, encoding: str, id_column: str, text_column: str, section_column: str
) -> ReportReader:
    from attributes.report_rows import ReportColumns
    from attributes.reports import ReportReader

    columns = ReportColumns(study_id=id_column, text=text_column, section=section_column)
    return ReportReader(reports, encoding=encoding, columns=columns)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
