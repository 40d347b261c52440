"""Table 2: keys, both scales, attributes against the evaluation."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from experiments.tables.attributes import OVERALL, POOLED, attribute_references, attribute_rows
from experiments.tables.severity_figure import severity_points
from experiments.tables.table2 import COHEN, COVID, Table2, write_table2
from experiments.tables.table2_runs import severity_rows
from localize.evaluation.evaluate import evaluate
from localize.severity import fit as severity_module
from localize.severity.agreement import evaluate_severity
from tests.localize.predictions import make_prediction, make_truth

KEYWORDS = ("left", "severe", "mild")


@pytest.fixture(scope="module")
def films():
    """Forty films of twenty patients; severity follows P(pneumonia), three films are not scored."""
    random = np.random.default_rng(0)
    ids = [f"film-{k}" for k in range(40)]
    chance = random.random(40)
    truth = make_truth(ids, patients=[f"p-{k // 2}" for k in range(40)])
    severity = np.clip(8 * chance + random.normal(0, 0.5, 40), 0, 8)
    severity[[3, 17, 30]] = np.nan
    labels = pd.DataFrame({"image_id": ids, "severity": severity})
    truth = type(truth)(truth.images, truth.boxes, truth.reports, labels, truth.info, truth.root)
    prediction = make_prediction(
        ids, p_pneumonia=chance, attributes={name: random.random(40) for name in KEYWORDS}
    )
    said = pd.DataFrame({"image_id": ids, **{n: random.integers(0, 2, 40) for n in KEYWORDS}})
    said["severe"] = 0  # never said: AUC is undefined
    return prediction, truth, said


@pytest.fixture(scope="module")
def table(films):
    prediction, truth, said = films
    severity_module.REPLICATES = 50
    return Table2(
        command="pneumoloc x",
        dataset=COVID,
        severity=severity_rows(prediction, truth, (COHEN,)),
        attributes=attribute_rows(prediction, truth, said),
        references=attribute_references(prediction, truth, said),
        provenance={"seeds": [0]},
        data={"films": "abc"},
    )


@pytest.fixture(scope="module")
def points(films):
    prediction, truth, _ = films
    return severity_points(prediction, truth, "severity", "expert")


def test_rows_have_the_published_keys_on_both_scales(table, points, tmp_path):
    write_table2(table, [points], tmp_path, "table2-x")
    content = json.loads((tmp_path / "table2-x.json").read_text())
    rows = {(row["score"], row["scale"]): row for row in content["rows"]}
    assert {score for score, _ in rows} == {"severity", "P(severe)", "P(mild)", "p_pneumonia"}
    for row in rows.values():
        assert {"pearson", "spearman", "r2", "mae", "mse", "pearson_p", "spearman_p"} <= set(row)
    wide, unit = rows["severity", "0-8"], rows["severity", "0-1"]
    assert unit["mae"] == pytest.approx(wide["mae"] / 8)
    assert unit["mse"] == pytest.approx(wide["mse"] / 64)
    assert (unit["pearson"], unit["r2"]) == (wide["pearson"], wide["r2"])
    assert wide["films"] == 37
    assert wide["pearson"] > 0.9
    assert wide["pearson_p"] < 1e-6
    assert content["provenance"]["data_sha256"] == {"films": "abc"}
    assert "< .0001" in (tmp_path / "table2-x.md").read_text()


def test_points_are_the_scored_films_with_their_scores(films, points):
    prediction, truth, _ = films
    expert = truth.labels.set_index("image_id")["severity"]
    assert len(points.image_ids) == 37
    np.testing.assert_allclose(points.truth, expert[list(points.image_ids)])
    fit = evaluate_severity(prediction, truth, column="severity", seed=0)[0]
    assert np.corrcoef(points.truth, points.predicted)[0, 1] == pytest.approx(fit.pearson)
    assert np.abs(points.truth - points.predicted).mean() == pytest.approx(fit.mae)


def test_attribute_rows_are_those_of_the_evaluation(films, table):
    prediction, truth, said = films
    result = evaluate(prediction, truth, targets=said)
    rows = {row.keyword: row for row in table.attributes}
    assert list(rows) == [*KEYWORDS, OVERALL, POOLED]
    assert rows["left"].auc == result.row("attribute_left_auc").estimate
    assert rows[OVERALL].accuracy == result.row("attribute_macro_accuracy").estimate
    assert rows[POOLED].auc == result.row("attribute_pooled_auc").estimate
    assert rows["severe"].auc.value is None
    assert (rows["severe"].positives, rows["severe"].always_no) == (0, 1.0)
    assert rows["left"].positives == said["left"].sum()


def test_references_know_the_finding_alone(films, table, points, tmp_path):
    prediction, _, said = films
    by_chance, by_truth = table.references
    true, chance = said[list(KEYWORDS)].to_numpy(), prediction.images["p_pneumonia"].to_numpy()
    usual = prediction.attributes[list(KEYWORDS)].mean().to_numpy()
    occur = [k for k, name in enumerate(KEYWORDS) if name != "severe"]
    for found, worth in ((by_chance, chance), (by_truth, true.max(axis=1))):
        aucs = [roc_auc_score(true[:, k], worth) for k in occur]
        *each, mean, pooled = found.rows
        assert [each[k].auc.value for k in occur] == pytest.approx(aucs)
        assert mean.auc.value == pytest.approx(np.mean(aucs))
        answers = (worth[:, None] * usual).ravel()
        assert pooled.auc.value == pytest.approx(roc_auc_score(true.ravel(), answers))
        expected = average_precision_score(true.ravel(), answers)
        assert pooled.ap.value == pytest.approx(expected)
    write_table2(table, [points], tmp_path, "table2-x")
    lines = (tmp_path / "table2-x.md").read_text().splitlines()
    left = next(line for line in lines if line.startswith("| left | "))
    expected = [f"{one.rows[0].auc.value:.3f}" for one in table.references]
    assert left.split(" | ")[-2:] == [expected[0], f"{expected[1]} |"]
    content = json.loads((tmp_path / "table2-x.json").read_text())
    assert content["attribute_references"][0]["knows"] == "P(pneumonia)"


def test_a_table_read_from_json_is_the_table_that_was_written(table):
    content = json.loads(json.dumps(table.as_json()))
    again = Table2.from_json(content)
    assert again.severity == table.severity
    assert list(again.attributes) == list(table.attributes)
    assert again.as_json()["attribute_references"] == content["attribute_references"]
