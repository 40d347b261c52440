"""`pneumoloc attributes`: mine, vectors, targets, score, explain, stats."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Reports: findings, attributes, targets and word vectors.", no_args_is_help=True
)

Out = Annotated[Path, typer.Option("--out", help="Folder for the results.")]
LexiconOption = Annotated[
    str, typer.Option("--lexicon", help="Language (en, es) or your own YAML file.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Encoding = Annotated[str, typer.Option("--encoding", help="Encoding of a CSV of reports.")]


@app.command()
def mine(
    reports: Annotated[
        Path, typer.Argument(help="Manifest folder, or CSV with study_id, text[, section].")
    ],
    out: Out,
    lexicon: LexiconOption = "en",
    workers: Annotated[int, typer.Option(help="Processes; 0 is one a core.")] = 0,
    encoding: Encoding = "utf-8",
    on_error: Annotated[str, typer.Option(help="fail or skip: what a bad row does.")] = "fail",
    as_json: Json = False,
) -> None:
    """Turn reports into findings.csv (one row a finding) and attributes.csv (one row a study)."""
    from attributes.lexicon.load import load_lexicon
    from attributes.mine import mine_reports
    from data_manifests.support.errors import ConfigError

    if on_error not in ("fail", "skip"):
        raise ConfigError(f"--on-error: expected fail or skip, got `{on_error}`")
    summary = mine_reports(
        reports,
        out,
        lexicon=load_lexicon(lexicon),
        workers=workers or _cores(),
        encoding=encoding,
        skip_bad_rows=on_error == "skip",
    )
    if as_json:
        typer.echo(
            json.dumps(
                {
                    "reports": summary.reports,
                    "findings": summary.findings,
                    "skipped": summary.skipped,
                    "counts": summary.counts,
                }
            )
        )
        return
    typer.echo(
        f"{summary.reports} reports, {summary.findings} findings, "
        f"{summary.skipped} rows skipped -> {out}"
    )


@app.command()
def vectors(
    reports: Annotated[
        Path, typer.Argument(help="Manifest folder, or CSV with study_id, text[, section].")
    ],
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
    as_json: Json = False,
) -> None:
    """Train word vectors on reports and choose a negative for every keyword."""
    from attributes.lexicon.load import load_lexicon
    from attributes.reports import ReportReader
    from attributes.vectors.word_vectors import (
        VectorOptions,
        train_word_vectors,
        write_word_vectors,
    )

    options = VectorOptions(dim=dim, epochs=epochs, seed=seed, negatives=negatives)
    reader, words = ReportReader(reports, encoding=encoding), load_lexicon(lexicon)
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
    labels: Annotated[
        Path | None, typer.Option("--labels", help="CSV of report labels (NegBio's columns).")
    ] = None,
    reports: Annotated[
        Path | None, typer.Option("--reports", help="The reports that --labels is about.")
    ] = None,
    half: Annotated[
        str, typer.Option(help="all, tune or held: ids by the hash of their name.")
    ] = "all",
    lexicon: LexiconOption = "en",
    worst: Annotated[int, typer.Option(help="How many errors to show with their text.")] = 10,
    as_json: Json = False,
) -> None:
    """Score the structurer against gold sentences, or against labels of whole reports."""
    from attributes.lexicon.load import load_lexicon
    from attributes.reports import ReportReader
    from attributes.scoring.gold_score import score_gold
    from attributes.scoring.gold_sentences import read_gold
    from attributes.scoring.report_labels import read_report_labels, score_report_labels
    from attributes.scoring.score_tables import (
        gold_as_data,
        gold_as_text,
        labels_as_data,
        labels_as_text,
    )
    from attributes.structure import Structurer
    from data_manifests.support.errors import ConfigError

    if bool(gold) == bool(labels) or bool(labels) != bool(reports):
        raise ConfigError("score: expected --gold FILE, or --labels FILE with --reports REPORTS")
    structurer = Structurer(load_lexicon(lexicon))
    if gold:
        sentences = [sentence for path in gold for sentence in read_gold(path, structurer.lexicon)]
        result = score_gold(sentences, structurer)
        typer.echo(
            json.dumps(gold_as_data(result)) if as_json else gold_as_text(result, worst=worst)
        )
    elif labels and reports:
        scores = score_report_labels(
            ReportReader(reports), read_report_labels(labels), structurer, half=half
        )
        typer.echo(
            json.dumps(labels_as_data(scores)) if as_json else labels_as_text(scores, worst=worst)
        )


@app.command()
def explain(
    report: Annotated[
        Path, typer.Argument(help="A text file, or reports (manifest, CSV) with --study.")
    ],
    study: Annotated[str, typer.Option(help="The study to explain, when REPORT holds many.")] = "",
    html: Annotated[
        Path | None, typer.Option(help="Write a self-contained HTML page here.")
    ] = None,
    lexicon: LexiconOption = "en",
    colour: Annotated[bool, typer.Option("--colour/--plain", help="Colours or signs.")] = True,
) -> None:
    """Show a report with its findings, rules and attributes marked."""
    from attributes.explain import explain_html, explain_text
    from attributes.lexicon.load import load_lexicon
    from attributes.reports import read_one_report
    from attributes.structure import Structurer
    from attributes.trace import trace_report
    from data_manifests.support.atomic import write_text

    structurer = Structurer(load_lexicon(lexicon))
    one = read_one_report(report, study)
    traces = trace_report(one.sections, structurer)
    if html:
        language = structurer.lexicon.language
        write_text(html, explain_html(traces, title=one.study_id, language=language))
    typer.echo(explain_text(traces, colour=colour))


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


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
