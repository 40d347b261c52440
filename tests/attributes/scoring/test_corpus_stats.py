from __future__ import annotations

from pathlib import Path

from attributes.lexicon.load import load_lexicon
from attributes.mine import mine_reports
from attributes.reports import ReportReader
from attributes.scoring.corpus_stats import (
    count_corpus,
    plot_stats,
    rows_of_mined,
    rows_of_reports,
    stats_text,
)
from attributes.structure import Structurer

ENGLISH = load_lexicon("en")
TEXTS = (
    "study_id,text\n"
    "a,No focal opacity. Left opacity. Left consolidation.\n"
    "b,No focal consolidation. Left effusion.\n"
    "c,Clear.\n"
)


def reports(folder: Path) -> Path:
    path = folder / "r.csv"
    path.write_text(TEXTS)
    return path


def test_counts_equal_a_count_by_hand(tmp_path: Path) -> None:
    reader = ReportReader(reports(tmp_path))
    stats = count_corpus(rows_of_reports(reader, Structurer(ENGLISH)), ENGLISH)
    keywords = stats.keywords.set_index("keyword")
    assert stats.studies == 3
    assert keywords.loc["left", ["findings_present", "studies_present"]].tolist() == [2, 1]
    assert keywords.loc["focal", ["findings_absent", "studies_absent"]].tolist() == [2, 2]
    findings = stats.findings.set_index("finding")
    assert findings.loc["opacity", ["present", "absent"]].tolist() == [1, 1]
    assert findings.loc["effusion", "present"] == 1


def test_a_mined_folder_gives_the_same_counts(tmp_path: Path) -> None:
    source = reports(tmp_path)
    mine_reports(source, tmp_path / "mined", lexicon=ENGLISH)
    mined = count_corpus(rows_of_mined(tmp_path / "mined"), ENGLISH)
    direct = count_corpus(rows_of_reports(ReportReader(source), Structurer(ENGLISH)), ENGLISH)
    assert mined.studies == direct.studies
    assert mined.keywords.equals(direct.keywords)
    assert mined.findings.equals(direct.findings)


def test_the_table_and_the_plot_are_written(tmp_path: Path) -> None:
    reader = ReportReader(reports(tmp_path))
    stats = count_corpus(rows_of_reports(reader, Structurer(ENGLISH)), ENGLISH)
    assert "retrocardiac" in stats_text(stats)
    plot_stats(stats, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
