from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from attributes.lexicon.load import load_lexicon
from attributes.mine import mine_reports
from attributes.structure import Structurer
from attributes.targets.keyword_states import STATES, keyword_states
from attributes.targets.policies import POLICIES, get_policy
from attributes.targets.training_targets import (
    Targets,
    read_studies_with_finding,
    read_targets,
    targets_from_states,
)
from data_manifests.support.errors import ConfigError, DataError

STRUCTURER = Structurer(load_lexicon("en"))
KEYWORDS = STRUCTURER.lexicon.keyword_names


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        # present uncertain resolved absent unmentioned unread; x = masked
        ("closed-world", "1x000x"),
        ("axis-world", "1x000x"),
        ("open-world", "1x00xx"),
        ("uncertain-positive", "11000x"),
        ("keyword", "10000x"),
    ],
)
def test_each_policy_turns_states_into_targets_and_masks(policy: str, expected: str) -> None:
    axes = ["zone"] * 6
    result = targets_from_states(["s"], [STATES], "abcdef", axes=axes, policy=policy)
    pairs = zip(result.targets[0], result.mask[0], strict=True)
    assert "".join(str(int(value)) if known else "x" for value, known in pairs) == expected


def test_every_policy_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "attributes.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in POLICIES)


def test_the_sides_of_a_bilateral_finding_are_no_negatives() -> None:
    states = [["present" if name == "bilateral" else "unmentioned" for name in KEYWORDS]]
    masked = targets_from_states(["s"], states, KEYWORDS, policy="closed-world")
    left, right, upper = (KEYWORDS.index(name) for name in ("left", "right", "upper"))
    assert list(masked.mask[0, [left, right, upper]]) == [0, 0, 1]
    literal = targets_from_states(["s"], states, KEYWORDS, policy="keyword")
    assert literal.mask.all()


@pytest.mark.parametrize(
    ("states", "mask"),
    [
        # Of zones the report speaks, of textures it does not.
        ("present unmentioned unmentioned unmentioned", [1, 1, 0, 0]),
        ("present unmentioned present unmentioned", [1, 1, 1, 1]),
        # A hedge says that something may be there, and is itself not known.
        ("uncertain unmentioned unmentioned unmentioned", [0, 1, 0, 0]),
        # "No patchy opacity" speaks of textures, "no longer patchy" as well.
        ("present unmentioned absent unmentioned", [1, 1, 1, 1]),
        ("present unmentioned unmentioned resolved", [1, 1, 1, 1]),
        # Where nothing is there, nothing has a zone.
        ("unmentioned unmentioned unmentioned unmentioned", [1, 1, 1, 1]),
        ("absent unmentioned unmentioned unmentioned", [1, 1, 1, 1]),
    ],
)
def test_an_axis_of_which_the_report_says_nothing_is_not_known(
    states: str, mask: list[int]
) -> None:
    keywords, axes = ["upper", "lower", "patchy", "hazy"], ["zone", "zone", "texture", "texture"]
    told = [states.split()]
    found = targets_from_states(["s"], told, keywords, axes=axes, policy="axis-world")
    assert found.mask[0].tolist() == mask
    assert found.targets[0].tolist() == [state == "present" for state in told[0]]


def test_a_hedged_finding_without_a_keyword_leaves_its_axes_open() -> None:
    keywords, axes = ["upper", "lower"], ["zone", "zone"]
    silent = [["unmentioned"] * 2] * 2
    found = targets_from_states(
        ["hedged", "clear"], silent, keywords, axes=axes, may_have_finding=[True, False]
    )
    assert found.mask.tolist() == [[0, 0], [1, 1]]


def test_findings_that_are_stated_or_hedged_leave_silent_axes_open(tmp_path: Path) -> None:
    texts = {
        "hedged": "Possible pneumonia.",
        "stated": "Pneumonia.",
        "denied": "No pneumonia.",
        "clear": "Clear lungs.",
    }
    source = tmp_path / "r.csv"
    source.write_text("study_id,text\n" + "".join(f"{k},{v}\n" for k, v in texts.items()))
    mine_reports(source, tmp_path / "out", lexicon=load_lexicon("en"))
    found = read_targets(tmp_path / "out", policy="axis-world")
    known = {study: bool(found.mask[row].any()) for study, row in found.row_of.items()}
    assert known == {"hedged": False, "stated": False, "denied": True, "clear": True}


def test_a_policy_by_axes_needs_the_axis_of_each_keyword(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="axes"):
        targets_from_states(["s"], [["present"]], ["upper"], policy="axis-world")
    table(tmp_path, "study_id,upper,patchy", "a,present,unmentioned")
    for text in ("", "{}", '{"axes": {"upper": "zone"}}', '{"axes": []}'):
        (tmp_path / "mining.json").write_text(text)
        with pytest.raises(DataError, match=r"mining\.json.*mine the reports again"):
            read_targets(tmp_path, policy="axis-world")
    (tmp_path / "mining.json").write_text('{"axes": {"patchy": "texture", "upper": "zone"}}')
    assert read_targets(tmp_path, policy="axis-world").mask.tolist() == [[1, 0]]
    (tmp_path / "mining.json").unlink()
    with pytest.raises(DataError, match="closed-world"):
        read_targets(tmp_path, policy="axis-world")
    assert read_targets(tmp_path, policy="closed-world").mask.tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("Left opacity. No left consolidation.", "present"),
        ("Possible left opacity. No left consolidation.", "uncertain"),
        ("The left opacity has resolved. No left consolidation.", "resolved"),
        ("No left consolidation.", "absent"),
        ("Left effusion.", "unmentioned"),
    ],
)
def test_the_strongest_statement_of_a_study_wins(text: str, state: str) -> None:
    found = [finding for sentence in STRUCTURER.structure(text) for finding in sentence.findings]
    assert keyword_states(found, STRUCTURER.lexicon)[KEYWORDS.index("left")] == state


def table(folder: Path, *lines: str) -> Path:
    (folder / "attributes.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_targets_are_read_from_the_mined_tables(tmp_path: Path) -> None:
    table(tmp_path, "study_id,left,right", "a,present,absent", "b,unmentioned,uncertain")
    (tmp_path / "findings.csv").write_text(
        "study_id,finding,assertion\na,opacity,present\nb,effusion,present\nb,opacity,absent\n"
    )
    found = read_targets(tmp_path, policy="closed-world")
    assert (found.study_ids, found.keywords) == (("a", "b"), ("left", "right"))
    assert found.targets.tolist() == [[1, 0], [0, 0]]
    assert found.mask.tolist() == [[1, 1], [1, 0]]
    assert found.targets.dtype == found.mask.dtype == np.float32
    assert found.has_finding is not None
    assert found.has_finding.tolist() == [True, False]
    assert found.has_attribute.tolist() == [True, False]
    assert found.row_of == {"a": 0, "b": 1}
    assert read_studies_with_finding(tmp_path, assertions=("absent",)) == {"b"}


def test_all_defects_of_the_table_are_named_at_once(tmp_path: Path) -> None:
    table(tmp_path, "study_id,left", "a,maybe", "a,present", "b,present,more")
    with pytest.raises(DataError, match="3 problems") as caught:
        read_targets(tmp_path)
    assert "row 2, field left" in str(caught.value)
    assert "row 3, field study_id" in str(caught.value)
    assert "row 4" in str(caught.value)


@pytest.mark.parametrize("header", ["left,right", "study_id", "study_id,left,left", ""])
def test_a_table_with_another_header_is_refused(header: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 1"):
        read_targets(table(tmp_path, header))


def test_an_unknown_policy_and_a_missing_table_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="closed-world"):
        get_policy("hopeful")
    with pytest.raises(DataError, match="attributes mine"):
        read_targets(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        read_studies_with_finding(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"targets": np.zeros((1, 2), dtype=np.float64)},
        {"mask": np.zeros((2, 2), dtype=np.float32)},
        {"targets": np.full((1, 2), np.nan, dtype=np.float32)},
        {"targets": np.full((1, 2), 2, dtype=np.float32)},
        {"has_finding": np.zeros(3, dtype=np.bool_)},
    ],
)
def test_targets_of_wrong_shape_type_or_range_are_refused(change: dict[str, object]) -> None:
    good: dict[str, object] = {
        "study_ids": ("a",),
        "keywords": ("x", "y"),
        "targets": np.zeros((1, 2), dtype=np.float32),
        "mask": np.ones((1, 2), dtype=np.float32),
        "policy": "keyword",
    }
    Targets(**good)  # type: ignore[arg-type]  # a table of good and bad values
    with pytest.raises(ValueError, match="must"):
        Targets(**good | change)  # type: ignore[arg-type]


def test_reading_targets_and_vectors_imports_no_text_library() -> None:
    code = (
        "import sys, attributes.targets.training_targets, attributes.vectors.word_vectors; "
        "print([m for m in ('spacy', 'gensim', 'torch') if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert run.stdout.strip() == "[]"
