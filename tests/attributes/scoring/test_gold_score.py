from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attributes.lexicon.load import load_lexicon
from attributes.reports import Report
from attributes.scoring.gold_score import align, count_assertions, count_binding, score_gold
from attributes.scoring.gold_sentences import Mention, read_gold
from attributes.scoring.measures import measure
from attributes.scoring.report_labels import is_held, read_report_labels, score_report_labels
from attributes.scoring.score_tables import (
    gold_as_data,
    gold_as_text,
    labels_as_data,
    labels_as_text,
)
from attributes.structure import Structurer
from data_manifests.support.errors import ConfigError, DataError

ENGLISH = load_lexicon("en")
STRUCTURER = Structurer(ENGLISH)
HEADER = "sentence_id,difficulty,text,findings\n"


def mention(text: str) -> Mention:
    finding, assertion, *attributes = text.split()
    return Mention(finding, assertion, frozenset(attributes))


def gold(folder: Path, *rows: str) -> Path:
    path = folder / "gold.csv"
    path.write_text(HEADER + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_gold_is_read_with_its_mentions_in_order(tmp_path: Path) -> None:
    path = gold(
        tmp_path,
        'a,hard,"No left opacity, edema.",opacity absent left; edema absent',
        "b,easy,Clear.,",
    )
    first, second = read_gold(path, ENGLISH)
    assert first.mentions == (mention("opacity absent left"), mention("edema absent"))
    assert second.mentions == ()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,easy,x,tumor present", r"row 2, field findings: expected one of pneumonia"),
        ("a,easy,x,opacity maybe", r"expected one of present"),
        ("a,easy,x,opacity", r"expected one of present"),
        ("a,easy,x,opacity present lefty", r"not lefty"),
        ("a,easy,x,\na,easy,y,", r"row 3, field sentence_id.*again"),
    ],
)
def test_bad_gold_is_named(row: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        read_gold(gold(tmp_path, row), ENGLISH)


def test_mentions_are_aligned_by_type_in_order() -> None:
    truth = [mention("opacity present"), mention("edema absent"), mention("opacity absent")]
    found = [mention("opacity present"), mention("opacity present"), mention("nodule present")]
    pairs = align(truth, found)
    assert [(g and g.finding, f and f.finding) for g, f in pairs] == [
        ("opacity", "opacity"),
        ("edema", None),
        ("opacity", "opacity"),
        (None, "nodule"),
    ]


def test_counts_equal_a_count_by_hand() -> None:
    pairs = align(
        [mention("opacity present left basal"), mention("edema absent")],
        [mention("opacity absent left patchy"), mention("nodule present small")],
    )
    assert count_assertions(pairs) == (0, 2, 2)
    assert count_binding(pairs) == (1, 2, 3)
    assert count_binding(pairs, only="left") == (1, 1, 1)


def test_a_measure_equals_sklearn_and_its_interval_holds_the_value() -> None:
    from sklearn.metrics import precision_recall_fscore_support

    generator = np.random.default_rng(0)
    truth, guess = generator.random((2, 300)) < 0.4
    counts = [(int(t and g), int(t), int(g)) for t, g in zip(truth, guess, strict=True)]
    found = measure(counts)
    precision, recall, f1, _ = precision_recall_fscore_support(truth, guess, average="binary")
    assert (found.precision, found.recall, found.f1) == pytest.approx((precision, recall, f1))
    assert found.f1_low is not None
    assert found.f1_high is not None
    assert found.f1_low < f1 < found.f1_high
    assert 0.08 < found.f1_high - found.f1_low < 0.2  # binomial standard error near .035


def test_nothing_to_measure_is_undefined_not_zero() -> None:
    empty = measure([(0, 0, 0)] * 3)
    assert (empty.precision, empty.recall, empty.f1, empty.f1_low) == (None, None, None, None)
    assert measure([(0, 2, 0)]).f1 == 0.0


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=20
    )
)
def test_intervals_are_reproducible_and_ordered(rows: list[tuple[int, int, int]]) -> None:
    counts = [(min(row), row[1], row[2]) for row in rows]
    first, second = measure(counts, seed=3), measure(counts, seed=3)
    assert first == second
    if first.f1_low is not None and first.f1_high is not None:
        assert 0 <= first.f1_low <= first.f1_high <= 1


def test_perfect_gold_scores_one_and_wrong_gold_shows_its_error(tmp_path: Path) -> None:
    path = gold(
        tmp_path,
        "a,easy,Patchy left opacity.,opacity present left patchy",
        "b,hard,No effusion.,effusion present large",
    )
    score = score_gold(read_gold(path, ENGLISH), STRUCTURER)
    assert score.detection.f1 == 1.0
    assert score.assertions.f1 == 0.5
    assert score.by_finding["opacity"].f1 == 1.0
    assert score.by_finding["effusion"].f1 == 0.0
    assert score.by_attribute["large"].recall == 0.0
    assert score.by_difficulty["easy"][0].f1 == 1.0
    assert score.confusion == {("present", "present"): 1, ("present", "absent"): 1}
    assert [item.gold.sentence_id for item in score.worst(5)] == ["b"]
    assert "No effusion." in gold_as_text(score, worst=3)
    assert gold_as_data(score)["sentences"] == 2


def test_missed_and_made_up_findings_stand_in_the_confusion(tmp_path: Path) -> None:
    path = gold(tmp_path, "a,easy,Left opacity.,edema absent")
    confusion = score_gold(read_gold(path, ENGLISH), STRUCTURER).confusion
    assert confusion == {("absent", "missed"): 1, ("made up", "present"): 1}


def labelled(folder: Path, *rows: str) -> dict[str, dict[str, bool]]:
    path = folder / "labels.csv"
    path.write_text("filename,Pneumonia,Odd\n" + "\n".join(rows) + "\n")
    return read_report_labels(path)


def report(study_id: str, text: str) -> Report:
    return Report(study_id, (("findings", text),), 1)


def test_report_labels_are_compared_with_both_baselines(tmp_path: Path) -> None:
    labels = labelled(tmp_path, "a,1,0", "b,0,0", "c,0,0", "d,1,0")
    reports = [
        report("a", "Left pneumonia."),
        report("b", "No pneumonia."),  # the keyword falls for it
        report("c", "Pneumonia is not seen."),  # the regular expression too
        report("d", "Probable pneumonia."),  # a hedge that leans to yes counts
    ]
    (score,) = score_report_labels(reports, labels, STRUCTURER)
    assert (score.structurer.f1, score.regex.found, score.keyword.found) == (1.0, 3, 4)
    assert labels_as_data([score])["Pneumonia"] is not None
    assert "Pneumonia keyword" in labels_as_text([score], worst=1)


def test_disagreements_come_with_their_sentences(tmp_path: Path) -> None:
    labels = labelled(tmp_path, "a,0,0", "b,1,0")
    reports = [report("a", "Clear. Left pneumonia."), report("b", "Clear.")]
    (score,) = score_report_labels(reports, labels, STRUCTURER)
    assert [(d.study_id, d.gold, d.sentences) for d in score.disagreements] == [
        ("a", False, ("Left pneumonia.",)),
        ("b", True, ()),
    ]


def test_the_halves_are_a_partition_that_depends_on_the_id_alone(tmp_path: Path) -> None:
    ids = [f"CXR{n}" for n in range(400)]
    held = [study_id for study_id in ids if is_held(study_id)]
    assert 150 < len(held) < 250
    labels = labelled(tmp_path, *(f"{study_id},1,0" for study_id in ids))
    reports = [report(study_id, "Pneumonia.") for study_id in ids]
    sizes = [
        score_report_labels(reports, labels, STRUCTURER, half=h)[0].structurer.gold
        for h in ("held", "tune", "all")
    ]
    assert sizes == [len(held), 400 - len(held), 400]


def test_bad_labels_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 3, field Pneumonia: expected 0 or 1, got `2`"):
        labelled(tmp_path, "a,1,0", "b,2,0")
    with pytest.raises(DataError, match="common study ids"):
        score_report_labels([report("z", "x")], labelled(tmp_path, "a,1,0"), STRUCTURER)
    with pytest.raises(ConfigError, match="half"):
        score_report_labels([], labelled(tmp_path, "a,1,0"), STRUCTURER, half="third")
