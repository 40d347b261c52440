from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from attributes.lexicon.load import load_lexicon
from attributes.mine import CHUNK_REPORTS, mine_reports
from attributes.mined_chunk import FINDING_COLUMNS, TableOptions
from attributes.targets.policies import POLICIES
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
    assert [(row["rule"], row["is_likely"]) for row in found] == [("", "0"), ("plain_no", "0")]


def test_attributes_of_other_findings_do_not_reach_the_states(tmp_path: Path) -> None:
    source = reports(tmp_path / "r.csv", {"s1": "Large right effusion. Left opacity."})
    mine_reports(source, tmp_path, lexicon=ENGLISH)
    states = rows(tmp_path / "attributes.csv")[0]
    assert {name for name in ENGLISH.keyword_names if states[name] == "present"} == {"left"}


def test_every_study_has_a_row_also_without_findings_or_text(tmp_path: Path) -> None:
    source = reports(tmp_path / "r.csv", {"a": "Clear.", "b": "", "c": "Opacity."})
    summary = mine_reports(source, tmp_path, lexicon=ENGLISH)
    assert [r["study_id"] for r in rows(tmp_path / "attributes.csv")] == ["a", "b", "c"]
    assert summary.unread == {"without text": 1}
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


UNREAD = {
    "empty": "",
    "history only": "INDICATION: pneumonia, left opacity",
    "other language": "Keine Verschattung, keine Stauung, schlanke Herzsilhouette.",
    "reference": "See separate dictation.",
    "clear": "The lungs are clear.",
    "normal": "Normal chest.",
    "opacity": "Left opacity.",
}


def test_a_study_of_which_nothing_was_read_is_masked_counted_and_listed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = reports(tmp_path / "r.csv", UNREAD)
    summary = mine_reports(source, tmp_path / "out", lexicon=ENGLISH)
    assert summary.unread == {
        "without text": 1,
        "with skipped sections only": 1,
        "without known words": 2,
    }
    assert "nothing was read of 4 of 7 studies" in caplog.text
    listed = json.loads((tmp_path / "out" / "mining.json").read_text())["unread"]
    assert listed["with skipped sections only"] == {"studies": 1, "listed": ["history only"]}
    for policy in POLICIES:
        found = read_targets(tmp_path / "out", policy=policy)
        assert found.is_read is not None
        assert found.is_read.tolist() == [False] * 4 + [True] * 3
        assert not found.mask[:4].any(), policy
    closed = read_targets(tmp_path / "out", policy="closed-world")
    assert closed.mask[4:6].all(), "a clear chest is a negative"


def test_a_renamed_finding_of_a_lexicon_of_ones_own_still_gives_targets(tmp_path: Path) -> None:
    text = ENGLISH.source.read_text(encoding="utf-8")
    lexicon = tmp_path / "mine.yaml"
    lexicon.write_text(text.replace("  - name: opacity\n", "  - name: shadow\n"), "utf-8")
    source = reports(tmp_path / "r.csv", {"a": "Left opacity."})
    mine_reports(source, tmp_path / "out", lexicon=load_lexicon(lexicon))
    found = read_targets(tmp_path / "out")
    assert found.has_finding is not None
    assert found.has_finding.tolist() == [True]
    assert found.has_attribute.tolist() == [True]


def test_a_folder_mined_before_the_findings_were_noted_is_read(tmp_path: Path) -> None:
    mine_reports(
        reports(tmp_path / "r.csv", {"a": "Left opacity."}), tmp_path / "out", lexicon=ENGLISH
    )
    path = tmp_path / "out" / "mining.json"
    content = json.loads(path.read_text())
    del content["pneumonia_like"]
    path.write_text(json.dumps(content))
    found = read_targets(tmp_path / "out")
    assert found.has_finding is not None
    assert found.has_finding.tolist() == [True]


def test_the_impression_overrules_other_sections_if_asked(tmp_path: Path) -> None:
    text = "FINDINGS: Left basal opacity, possibly pneumonia.\nIMPRESSION: No pneumonia."
    source = reports(tmp_path / "r.csv", {"a": text})
    mine_reports(source, tmp_path / "all", lexicon=ENGLISH)
    tables = TableOptions(impression_wins=True)
    summary = mine_reports(source, tmp_path / "wins", lexicon=ENGLISH, tables=tables)
    assert summary.overruled == 1
    kept = [(r["finding"], r["assertion"]) for r in rows(tmp_path / "wins" / "findings.csv")]
    assert kept == [("opacity", "present"), ("pneumonia", "absent")]
    assert len(rows(tmp_path / "all" / "findings.csv")) == 3


def test_extended_findings_are_written_on_request_only(tmp_path: Path) -> None:
    source = reports(tmp_path / "r.csv", {"a": "Right rib fracture. No mass. Left opacity."})
    mine_reports(source, tmp_path / "plain", lexicon=ENGLISH)
    tables = TableOptions(extended=True)
    mine_reports(source, tmp_path / "all", lexicon=ENGLISH, tables=tables)
    names = [
        [row["finding"] for row in rows(tmp_path / folder / "findings.csv")]
        for folder in ("plain", "all")
    ]
    assert names == [["opacity"], ["fracture", "mass", "opacity"]]


@pytest.mark.parametrize(
    ("uncertain", "pneumonia"), [("keep", "-1"), ("ones", "1"), ("zeros", "0"), ("ignore", "")]
)
def test_the_chexpert_table_has_fourteen_labels(
    uncertain: str, pneumonia: str, tmp_path: Path
) -> None:
    texts = {
        "a": "Left opacity, possibly pneumonia. No effusion. Resolved edema. NG tube. No fracture.",
        "b": "No pneumothorax. ET tube.",
        "c": "INDICATION: pneumonia",
    }
    tables = TableOptions(chexpert=uncertain)
    mine_reports(reports(tmp_path / "r.csv", texts), tmp_path, lexicon=ENGLISH, tables=tables)
    found = rows(tmp_path / "chexpert.csv")
    assert len(found[0]) == 15
    labels = {
        "No Finding": "",
        "Lung Opacity": "1",
        "Pneumonia": pneumonia,
        "Pleural Effusion": "0",
        "Edema": "0",
        "Fracture": "0",
        "Support Devices": "1",
        "Cardiomegaly": "",
    }
    assert {name: found[0][name] for name in labels} == labels
    assert (found[1]["No Finding"], found[1]["Pneumothorax"]) == ("1", "0")
    assert set(found[2].values()) == {"c", ""}


def test_an_unknown_rule_for_uncertain_labels_is_refused() -> None:
    with pytest.raises(ConfigError, match="--chexpert"):
        TableOptions(chexpert="some")
