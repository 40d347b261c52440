from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from attributes.lexicon.load import load_lexicon
from attributes.mine import CHUNK_REPORTS, FINDING_COLUMNS, mine_reports
from attributes.targets.training_targets import read_targets
from data_manifests.support.errors import ConfigError, DataError

ENGLISH = load_lexicon("en")


def reports(path: Path, texts: dict[str, str]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([("study_id", "text"), *texts.items()])
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle))


def test_the_tables_are_those_of_the_design(tmp_path: Path) -> None:
    source = reports(tmp_path / "r.csv", {"s1": "Patchy left opacity. No focal consolidation."})
    mine_reports(source, tmp_path / "out", lexicon=ENGLISH)
    found = rows(tmp_path / "out" / "findings.csv")
    assert tuple(found[0]) == FINDING_COLUMNS
    assert [
        (r["study_id"], r["finding"], r["assertion"], r["attributes"], r["sentence"], r["start"])
        for r in found
    ] == [
        ("s1", "opacity", "present", "left;patchy", "Patchy left opacity.", "12"),
        ("s1", "consolidation", "absent", "focal", "No focal consolidation.", "30"),
    ]
    states = rows(tmp_path / "out" / "attributes.csv")[0]
    assert list(states) == ["study_id", *ENGLISH.keyword_names]
    assert (states["left"], states["focal"], states["mild"]) == ("present", "absent", "unmentioned")


def test_attributes_of_other_findings_do_not_reach_the_states(tmp_path: Path) -> None:
    source = reports(tmp_path / "r.csv", {"s1": "Large right effusion. Left opacity."})
    mine_reports(source, tmp_path, lexicon=ENGLISH)
    states = rows(tmp_path / "attributes.csv")[0]
    assert {name for name in ENGLISH.keyword_names if states[name] == "present"} == {"left"}


def test_every_study_has_a_row_also_without_findings_or_text(tmp_path: Path) -> None:
    source = reports(tmp_path / "r.csv", {"a": "Clear.", "b": "", "c": "Opacity."})
    summary = mine_reports(source, tmp_path, lexicon=ENGLISH)
    assert [r["study_id"] for r in rows(tmp_path / "attributes.csv")] == ["a", "b", "c"]
    assert (summary.reports, summary.findings) == (3, 1)


def test_the_axes_are_noted_for_the_targets(tmp_path: Path) -> None:
    source = reports(tmp_path / "r.csv", {"a": "Patchy opacity in the left lower zone."})
    mine_reports(source, tmp_path / "out", lexicon=ENGLISH)
    listed = json.loads((tmp_path / "out" / "mining.json").read_text())["axes"]
    assert listed == {keyword.name: keyword.axis for keyword in ENGLISH.keywords}
    found = read_targets(tmp_path / "out", policy="axis-world")
    known = dict(zip(found.keywords, found.mask[0], strict=True))
    assert (known["right"], known["upper"], known["severe"]) == (1, 1, 0)


@pytest.mark.slow
def test_workers_change_nothing(tmp_path: Path) -> None:
    texts = {f"s{n}": f"Left opacity {n}. No effusion." for n in range(6 * CHUNK_REPORTS + 7)}
    source = reports(tmp_path / "r.csv", texts)
    for workers in (1, 2):
        mine_reports(source, tmp_path / str(workers), lexicon=ENGLISH, workers=workers)
    for name in ("findings.csv", "attributes.csv", "mining.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_a_bad_row_leaves_nothing_behind(tmp_path: Path) -> None:
    source = tmp_path / "r.csv"
    source.write_bytes(b"study_id,text\na,Opacity\nb,\xff\n")
    with pytest.raises(DataError, match="row 3"):
        mine_reports(source, tmp_path / "out", lexicon=ENGLISH)
    assert not list((tmp_path / "out").iterdir())


def test_a_bad_row_can_be_skipped_and_is_listed(tmp_path: Path) -> None:
    source = tmp_path / "r.csv"
    source.write_bytes(b"study_id,text\na,Opacity\nb,\xff\nc,Clear\n")
    summary = mine_reports(source, tmp_path / "out", lexicon=ENGLISH, skip_bad_rows=True)
    assert (summary.reports, summary.skipped) == (2, 1)
    listed = json.loads((tmp_path / "out" / "mining.json").read_text())["skipped_rows"]
    assert "row 3, field text" in listed[0]


def test_no_workers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="workers"):
        mine_reports(reports(tmp_path / "r.csv", {}), tmp_path, lexicon=ENGLISH, workers=0)


def test_no_reports_give_empty_tables(tmp_path: Path) -> None:
    mine_reports(reports(tmp_path / "r.csv", {}), tmp_path / "out", lexicon=ENGLISH)
    assert read_targets(tmp_path / "out").targets.shape == (0, 22)
