from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from attributes.cli import app
from data_manifests.support.errors import ConfigError, DataError

RUNNER = CliRunner()
REPORTS = (
    "study_id,section,text\n"
    "a,findings,Patchy left opacity. No focal edema.\n"
    "b,findings,Clear lungs here.\n"
)


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    path = tmp_path / "r.csv"
    path.write_text(REPORTS)
    return path


def run(*arguments: object) -> str:
    result = RUNNER.invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_mine_prints_its_counts(reports: Path, tmp_path: Path) -> None:
    out = json.loads(run("mine", reports, "--out", tmp_path / "o", "--json"))
    assert (out["reports"], out["findings"]) == (2, 2)
    assert out["counts"]["opacity"] == {"present": 1}
    assert "2 reports, 2 findings" in run("mine", reports, "--out", tmp_path / "o", "--workers", 1)


def test_vectors_prints_a_negative_for_every_keyword(reports: Path, tmp_path: Path) -> None:
    text = run("vectors", reports, "--out", tmp_path / "v", "--dim", 4, "--epochs", 1)
    assert len(text.splitlines()) == 22
    out = json.loads(
        run("vectors", reports, "--out", tmp_path / "v", "--dim", 4, "--epochs", 1, "--json")
    )
    assert out["negatives"]["left"] == "right"
    shown = run(
        "vectors",
        reports,
        "--out",
        tmp_path / "v",
        "--dim",
        4,
        "--epochs",
        1,
        "--report",
        "--seeds",
        2,
    )
    assert "nearest words" in shown


def test_score_prints_gold_and_label_tables(reports: Path, tmp_path: Path) -> None:
    gold = tmp_path / "g.csv"
    gold.write_text(
        "sentence_id,difficulty,text,findings\n1,easy,Left opacity.,opacity present left\n"
    )
    assert "assertions, easy" in run("score", "--gold", gold)
    assert json.loads(run("score", "--gold", gold, "--json"))["assertions"]["f1"] == 1.0
    labels = tmp_path / "l.csv"
    labels.write_text("id,Pneumonia\na,0\nb,1\n")
    text = run("score", "--labels", labels, "--reports", reports)
    assert "Pneumonia b: label positive" in text
    found = json.loads(run("score", "--labels", labels, "--reports", reports, "--json"))
    assert found["Pneumonia"]["structurer"]["recall"] == 0.0


def test_score_needs_gold_or_labels_with_reports(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--gold"):
        run("score")
    with pytest.raises(ConfigError, match="--reports"):
        run("score", "--labels", tmp_path / "l.csv")


def test_explain_and_stats_show_a_report_and_a_corpus(reports: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    text = run("explain", reports, "--study", "a", "--plain", "--html", page)
    assert "<opacity|present>" in text
    assert "<mark" in page.read_text()
    assert "2 studies" in run("stats", reports, "--out", tmp_path / "s")
    assert (tmp_path / "s" / "stats.csv").is_file()
    run("mine", reports, "--out", tmp_path / "o")
    assert json.loads(run("stats", tmp_path / "o", "--json"))["studies"] == 2


def test_explain_as_json_has_relations_and_what_was_skipped(tmp_path: Path) -> None:
    text = "INDICATION: Fever\nFINDINGS: Patchy left opacity. Rib fracture."
    (tmp_path / "r.txt").write_text(text)
    content = json.loads(run("explain", tmp_path / "r.txt", "--json"))
    assert [finding["finding"] for finding in content["findings"]] == ["opacity"]
    attribute = content["findings"][0]["attributes"][0]
    assert text[attribute["start"] : attribute["end"]] == attribute["words"] == "left"
    assert content["skipped"] == [{"section": "indication", "text": " Fever\n"}]
    more = json.loads(run("explain", tmp_path / "r.txt", "--json", "--extended"))
    assert [finding["finding"] for finding in more["findings"]] == ["opacity", "fracture"]
    assert "indication: Fever" in run("explain", tmp_path / "r.txt", "--plain")


def test_score_reads_a_folder_of_cases() -> None:
    cases = Path(__file__).parent / "gold" / "cases"
    text = run("score", "--cases", cases)
    assert "whole reports right: 56 of 56" in text
    found = json.loads(run("score", "--cases", cases, "--json"))
    assert set(found["by_category"]) >= {"template", "question", "es_stemmed"}
    with pytest.raises(DataError, match="sentences"):
        run("score", "--cases", Path(__file__).parent)


def test_columns_of_other_names_are_mined(tmp_path: Path) -> None:
    path = tmp_path / "r.tsv"
    path.write_text("accession\treport\na\tLeft opacity.\nb\tINDICATION: cough\n")
    options = ("--id-column", "accession", "--text-column", "report", "--chexpert", "ones")
    text = run("mine", path, "--out", tmp_path / "o", *options)
    assert "2 reports, 1 findings, 0 rows skipped, 1 unread" in text
    assert (tmp_path / "o" / "chexpert.csv").is_file()


def test_spanish_reports_go_through_the_same_commands(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("study_id,text\na,Opacidad basal izquierda sin derrame.\n", encoding="utf-8")
    run("mine", path, "--out", tmp_path / "o", "--lexicon", "es")
    assert "a,findings,opacity" not in (tmp_path / "o" / "findings.csv").read_text()
    assert "opacity,present,left;basal" in (tmp_path / "o" / "findings.csv").read_text()


def test_bad_input_rises_as_our_errors(reports: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        run("mine", tmp_path / "none.csv", "--out", tmp_path)
    result = RUNNER.invoke(app, ["mine", str(reports), "--out", "x", "--on-error", "ignore"])
    assert result.exit_code == 2
    with pytest.raises(ConfigError, match="lexicon"):
        run("mine", reports, "--out", tmp_path, "--lexicon", "fr")


def test_help_imports_no_heavy_library() -> None:
    code = (
        "import sys, attributes.cli; "
        "print([m for m in ('numpy', 'pandas', 'gensim', 'yaml') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
