from __future__ import annotations

import json
from pathlib import Path

import pytest

from attributes.targets.policy_audit import audit_policies, audit_text
from data_manifests.support.errors import DataError


def mined(folder: Path) -> Path:
    axes = {"left": "laterality", "right": "laterality", "bilateral": "laterality"}
    (folder / "mining.json").write_text(json.dumps({"axes": axes}))
    (folder / "attributes.csv").write_text(
        "study_id,left,right,bilateral\n"
        "a,present,unmentioned,unmentioned\n"  # shows left and right: right is missed
        "b,uncertain,present,unmentioned\n"  # shows left only: right is wrong
        "c,unmentioned,unmentioned,unmentioned\n"  # not in the truth
    )
    return folder


def manifest(folder: Path, column: str = "kw_") -> Path:
    (folder / "images.csv").write_text(
        "image_id,patient_id,study_id,path\n1,p,a,1.png\n2,p,a,2.png\n3,q,b,3.png\n"
    )
    (folder / "labels.csv").write_text(
        f"image_id,{column}left,{column}right,{column}bilateral\n1,1,0,0\n2,0,1,0\n3,1,0,0\n"
    )
    return folder


def test_the_audit_equals_a_count_by_hand(tmp_path: Path) -> None:
    audits = {a.policy: a for a in audit_policies(mined(tmp_path), manifest(tmp_path))}
    closed = audits["closed-world"]
    assert (closed.positives, closed.negatives, closed.masked) == (2, 6, 1)
    assert (closed.wrong_positives, closed.missed) == (1, 1)
    assert closed.error_rate == pytest.approx(2 / 8)
    literal = audits["keyword"]
    assert (literal.wrong_positives, literal.missed, literal.masked) == (1, 2, 0)
    assert audits["open-world"].negatives == 0


def test_without_truth_only_the_counts_are_known(tmp_path: Path) -> None:
    audits = audit_policies(mined(tmp_path))
    assert {audit.error_rate for audit in audits} == {None}
    assert "–" in audit_text(audits)


def test_a_manifest_without_truth_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="kw_left"):
        audit_policies(mined(tmp_path), manifest(tmp_path, column="x_"))
