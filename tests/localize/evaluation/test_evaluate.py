from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from data_manifests.support.errors import DataError
from localize.evaluation import film_boxes
from localize.evaluation.evaluate import EvaluationOptions, choose_score_threshold, evaluate
from tests.localize.predictions import make_prediction, make_truth, random_pair

BOX = (10, 10, 110, 160)


def perfect(scale=1.0):
    ids = ["a", "b", "c"]
    boxes = [("a", *BOX), ("a", 200, 50, 300, 250), ("b", *BOX)]
    prediction = make_prediction(
        ids, [(*row, 0.9 * scale) for row in boxes], p_pneumonia=[0.9, 0.8, 0.1]
    )
    return prediction, make_truth(ids, boxes, pneumonia=[1, 1, 0])


def test_a_perfect_prediction_is_perfect_in_every_metric():
    prediction, manifest = perfect()
    evaluation = evaluate(prediction, manifest, replicates=0)
    ones = ["iou_at_0.75", "best_iou_at_0.75", "ap_at_0.75", "ap_50_95", "rsna_score"]
    ones += ["froc_0.5_at_0.125_fp", "iobb_at_0.9", "pointing_hit_rate", "film_auc", "film_ap"]
    assert {key: evaluation.value(key) for key in ones} == pytest.approx(dict.fromkeys(ones, 1.0))
    assert evaluation.value("afp_at_0.1") == 0
    assert evaluation.value("union_iou_at_0.75") == 0.5  # one box cannot cover both boxes of a
    assert evaluation.films.true_boxes == 3


def test_a_film_of_unknown_boxes_takes_no_part_in_box_metrics():
    ids = ["a", "b", "c"]
    prediction = make_prediction(
        ids,
        [("a", *BOX, 0.9), ("b", *BOX, 0.99), ("c", *BOX, 0.95)],
        p_pneumonia=[0.9, 0.9, 0.1],
    )
    # b is positive without boxes, c unlabelled without boxes: neither is a negative.
    manifest = make_truth(ids, [("a", *BOX)], pneumonia=[1, 1, ""])
    evaluation = evaluate(prediction, manifest, replicates=0)
    assert evaluation.value("ap_50_95") == pytest.approx(1.0)
    assert evaluation.value("rsna_score") == 1
    assert evaluation.films.boxes_unknown == 2
    assert evaluation.films.pneumonia == 2
    assert evaluation.value("film_auc") is None
    negatives = make_truth(ids, [("a", *BOX)])
    assert evaluate(prediction, negatives, replicates=0).value("ap_50_95") < 0.5


def test_skipped_films_are_listed_and_left_out():
    prediction, manifest = perfect()
    images = prediction.images.copy()
    images.loc[images["image_id"] == "a", ["status", "p_pneumonia"]] = ["skipped", np.nan]
    boxes = prediction.boxes[prediction.boxes["image_id"] != "a"]
    skipped = dataclasses.replace(prediction, images=images, boxes=boxes)
    evaluation = evaluate(skipped, manifest, replicates=0)
    assert evaluation.films.skipped == ("a",)
    assert evaluation.films.true_boxes == 1
    assert "Skipped: a." in evaluation.to_markdown()


@pytest.mark.parametrize("labels", [None, ["", "", ""]])
def test_films_without_any_truth_are_refused(labels):
    prediction, _ = perfect()
    ids = list(prediction.images["image_id"])
    with pytest.raises(DataError, match=r"true boxes, labels of pneumonia, or targets .* got none"):
        evaluate(prediction, make_truth(ids, pneumonia=labels), replicates=0)


def test_films_missing_on_either_side_are_refused_by_name():
    prediction, manifest = perfect()
    with pytest.raises(DataError, match="'c'") as missing:
        evaluate(make_prediction(["a", "b", "x"]), manifest)
    assert len(missing.value.problems) == 2
    assert "'x'" in str(missing.value)
    with pytest.raises(DataError, match="not skipped"):
        evaluate(make_prediction(["a", "b", "c"], status=["skipped"] * 3), manifest)
    with pytest.raises(DataError, match="'c'"):
        evaluate(prediction, manifest, baseline=make_prediction(["a", "b"]))


def test_a_missing_score_or_probability_is_refused():
    prediction, manifest = perfect()
    boxes = prediction.boxes.copy()
    boxes.loc[1, "score"] = np.nan
    with pytest.raises(DataError, match="row 3, field score"):
        evaluate(dataclasses.replace(prediction, boxes=boxes), manifest)
    images = prediction.images.assign(p_pneumonia=[0.9, np.nan, 0.1])
    with pytest.raises(DataError, match="p_pneumonia"):
        evaluate(dataclasses.replace(prediction, images=images), manifest)


def test_paired_differences_are_tighter_than_unpaired_ones():
    prediction, manifest = random_pair(0, films=120)
    boxes = prediction.boxes.copy()
    boxes["x2"] = np.minimum(boxes["x2"] + 4, 512)
    other = dataclasses.replace(prediction, boxes=boxes)
    evaluation = evaluate(prediction, manifest, replicates=300, baseline=other)
    row = evaluation.row("ap_at_0.75")
    assert row.difference.value == pytest.approx(row.estimate.value - row.baseline.value)
    widths = [e.high - e.low for e in (row.estimate, row.baseline, row.difference)]
    assert widths[2] < np.hypot(*widths[:2])  # what unpaired films would give
    same = evaluate(prediction, manifest, replicates=20, baseline=prediction)
    assert {(r.difference.value, r.difference.high) for r in same.rows} <= {(0, 0), (None, None)}


def test_the_same_seed_gives_the_same_json_and_undefined_is_null():
    prediction, manifest = random_pair(1)
    ids = list(prediction.images["image_id"])
    nothing = make_truth(ids, pneumonia=[0] * len(ids))
    first = evaluate(prediction, manifest, replicates=50, seed=4).to_json()
    assert first == evaluate(prediction, manifest, replicates=50, seed=4).to_json()
    assert first != evaluate(prediction, manifest, replicates=50, seed=5).to_json()
    content = json.loads(evaluate(prediction, nothing, replicates=50).to_json())
    assert content["metrics"]["iou_at_0.5"] == {"value": None, "low": None, "high": None}
    assert content["metrics"]["ap_50_95"]["value"] is None


def test_markdown_quotes_the_agreement_of_readers_and_escapes_names():
    ids = ["<script>|x", "b"]
    prediction = make_prediction(ids, [("b", *BOX, 0.5)], status=["skipped", "ok"])
    text = evaluate(prediction, make_truth(ids, [("b", *BOX)]), replicates=10).to_markdown()
    assert ".842/.579/.079" in text
    assert "| iou_at_0.5 | 1.000 [1.000, 1.000] |\n" in text
    assert "on 38 other films" in text
    assert "<script>" not in text


def test_attribute_targets_come_by_study_and_uncertain_is_left_out():
    ids = ["a", "b", "c", "d"]
    prediction = make_prediction(ids, attributes={"left": [0.9, 0.2, 0.4, 0.1]})
    targets = pd.DataFrame(
        {
            "study_id": ["s-a", "s-b", "s-c", "s-d"],
            "left": ["present", "unmentioned", "uncertain", "resolved"],
        }
    )
    evaluation = evaluate(prediction, make_truth(ids), replicates=0, targets=targets)
    assert evaluation.value("attribute_left_auc") == 1
    assert evaluation.value("attribute_left_accuracy") == 1
    assert evaluation.value("attribute_macro_ece") == pytest.approx((0.1 + 0.2 + 0.1) / 3)
    bad = targets.assign(left=["present", "perhaps", "", ""])
    with pytest.raises(DataError, match="perhaps"):
        evaluate(prediction, make_truth(ids), targets=bad)
    with pytest.raises(DataError, match="left"):
        evaluate(prediction, make_truth(ids), targets=targets[["study_id"]])


def test_the_threshold_is_chosen_on_other_films_and_changes_only_its_metrics():
    prediction, manifest = random_pair(2, films=80)
    threshold = choose_score_threshold(prediction, manifest)
    assert 0.3 < threshold < 0.8
    low = evaluate(prediction, manifest, replicates=0)
    high = evaluate(
        prediction, manifest, replicates=0, options=EvaluationOptions(score_threshold=threshold)
    )
    assert high.value("rsna_score") > low.value("rsna_score")
    assert high.value("ap_50_95") == low.value("ap_50_95")


def test_films_in_another_order_give_the_same_values():
    prediction, manifest = random_pair(3)
    shuffled = dataclasses.replace(
        prediction,
        images=prediction.images.sample(frac=1, random_state=0),
        boxes=prediction.boxes.sample(frac=1, random_state=1),
        attributes=prediction.attributes.sample(frac=1, random_state=2),
    )
    a = evaluate(prediction, manifest, replicates=20).to_json()
    assert a == evaluate(shuffled, manifest, replicates=20).to_json()


@pytest.mark.parametrize("films_of_part", [1, 7])
def test_films_in_parts_give_the_json_of_all_together(films_of_part, monkeypatch):
    prediction, manifest = random_pair(2, films=30)
    whole = evaluate(prediction, manifest, replicates=20, baseline=prediction)
    monkeypatch.setattr(film_boxes, "FILMS_OF_PART", films_of_part)
    in_parts = evaluate(prediction, manifest, replicates=20, baseline=prediction)
    assert in_parts.to_json() == whole.to_json()
