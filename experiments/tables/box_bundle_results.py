"""`evaluate_box_bundle`: a bundle on test patients of every source, beside another bundle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.stats import pearsonr

from data_manifests.films.read_film import read_film
from data_manifests.support.arrays import Floats
from data_manifests.support.atomic import write_json, write_text
from data_manifests.tables.manifest import Manifest
from detector.prepare import prepare_film
from detector.run.provenance import manifest_sha256, provenance
from experiments.core.box_bundle import SEVERITY, covid_films, labelled_films, scored_films
from experiments.core.calibration_errors import CalibrationErrors, calibration_errors
from experiments.data.box_films import TEST_GROUPS, box_films, without_first_bundle_patients
from experiments.tables.rows import estimate_cell
from experiments.tables.table2_runs import subset_prediction
from localize.bundle.bundle import Bundle, load_bundle
from localize.bundle.place_words import PLACE_WORDS, true_place_words
from localize.evaluation.bootstrap import Estimate
from localize.evaluation.evaluate import evaluate
from localize.evaluation.report import Evaluation
from localize.inference.film_list import manifest_films
from localize.inference.model import Model
from localize.inference.options import PredictOptions
from localize.inference.predict_folder import predict_folder
from localize.pipeline.cached import cached
from localize.prediction.tables import Prediction, read_prediction
from localize.severity.fit import out_of_fold
from localize.severity.scored_films import scored_films as severity_inputs

COMMAND = "pneumoloc experiment boxes evaluate --data DATA --work WORK --out docs/results"
ROWS = {
    "iou_at_0.25": "IoU@.25",
    "iou_at_0.5": "IoU@.5",
    "iou_at_0.75": "IoU@.75",
    "ap_at_0.5": "AP@.5",
    "film_auc": "film AUC",
    "film_ece": "film ECE",
}
CALIBRATION = {
    "as_predicted": "as predicted, without `--prevalence`",
    "at_reference": "the same, films weighted to the bundle's own prevalence",
    "at_own": "with the set's own prevalence as `--prevalence`",
}
NORMAL_AUC = "film AUC, opacity against normal"
REPLICATES = 1000


@dataclass(frozen=True)
class SeverityResult:
    """Agreement with Cohen's score, out of fold: 95 % intervals over resampled patients."""

    films: int
    patients: int
    fitted_on: int
    pearson: Estimate
    mae: Estimate


@dataclass(frozen=True)
class BundleScores:
    """One bundle on all test sets.

    Args:
        evaluations: by test group.
        against_normal: the film AUC of RSNA films with an opacity against normal ones.
        words: AUC of each word of place among test films with boxes.
        severity: against Cohen's scores.
        flagged: share of test films that the film guard flags, by group.
        calibration: calibration error of P(pneumonia), by group; empty for a bundle that states no
            prevalence.
        as_child: share of test films that the guard takes for those of children, by group.
    """

    evaluations: Mapping[str, Evaluation]
    against_normal: Estimate
    words: Mapping[str, Estimate]
    severity: SeverityResult
    flagged: Mapping[str, float]
    calibration: Mapping[str, CalibrationErrors]
    as_child: Mapping[str, float]


def evaluate_box_bundle(
    data: Path, bundles: Mapping[str, Path], work: Path, device: torch.device
) -> dict[str, BundleScores]:
    """Each bundle on the test patients of all sources, and its severity out of fold.

    The first bundle's evaluations also hold the paired differences to the second's. Predictions
    are written to `work`, where an interrupted run goes on.
    """
    test = held_out_films(data)
    covid = scored_films(covid_films(data))
    opened = {name: load_bundle(folder) for name, folder in bundles.items()}
    predictions = {
        name: _predict(bundle, test, work / f"{name}_test", device)
        for name, bundle in opened.items()
    }
    baseline = list(predictions.values())[-1] if len(predictions) > 1 else None
    scores = {}
    for name, bundle in opened.items():
        compared = None if predictions[name] is baseline else baseline
        severity = _severity(_predict(bundle, covid, work / f"{name}_covid", device), covid)
        scores[name] = _scores(predictions[name], compared, test, severity, bundle)
    return scores


def held_out_films(data: Path) -> Manifest:
    """Test films of all groups, none of a patient that `open_lite0` was trained on."""
    films = without_first_bundle_patients(box_films(data), data)
    return labelled_films(films.split("test"))


def write_box_bundle_results(scores: Mapping[str, BundleScores], data: Path, results: Path) -> str:
    """Write `open-2.json` and `open-2.md` into `results`; returns the page."""
    names = list(scores)
    lines = ["# The package's bundle on test patients", "", f"```\n{COMMAND}\n```", ""]
    lines += [
        "Patients of these films are in no training or validation split, also not in those of "
        "`open_lite0`, from whose weights `open_2` was trained. Brackets: 95 % intervals of a "
        "bootstrap over patients. IoU@T: share of true boxes found one-to-one by the film's k best "
        "boxes, k its number of true boxes. Differences are paired.",
        "",
    ]
    for group in TEST_GROUPS:
        first = scores[names[0]].evaluations[group]
        counts = first.films
        lines += [
            f"## {group}",
            "",
            f"{counts.evaluated} films of {counts.patients} patients; {counts.with_boxes} with "
            f"boxes, {counts.true_boxes} boxes.",
            "",
            "| metric | " + " | ".join(names) + " | difference |",
            "|---" * (len(names) + 2) + "|",
        ]
        for key, title in ROWS.items():
            cells = [_cell(scores[name].evaluations[group], key) for name in names]
            if all(cell == "-" for cell in cells):
                continue
            difference = next((row.difference for row in first.rows if row.key == key), None)
            cells.append("-" if difference is None else estimate_cell(difference))
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
        if group == "rsna":
            cells = [estimate_cell(scores[name].against_normal) for name in names]
            lines.append(f"| {NORMAL_AUC} | " + " | ".join(cells) + " | - |")
        flagged = [f"{scores[name].flagged[group]:.3f}" for name in names]
        lines += ["| flagged by the film guard | " + " | ".join(flagged) + " | - |", ""]
    lines += _calibration_lines(scores[names[0]], names[0])
    lines += [
        "## Words of place",
        "",
        "AUC among the test films with boxes (RSNA and SIIM); the readers' boxes say whether the "
        "word holds.",
        "",
        "| word | " + " | ".join(names) + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    for word in PLACE_WORDS:
        cells = [
            estimate_cell(scores[name].words[word]) if word in scores[name].words else "-"
            for name in names
        ]
        lines.append(f"| {word} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "## Severity",
        "",
        "Out of fold, five folds by patient, against Cohen's geographic extent (0 to 8).",
        "",
        "| bundle | fitted on | films | patients | Pearson r | MAE |",
        "|---|---|---|---|---|---|",
    ]
    for name in names:
        one = scores[name].severity
        lines.append(
            f"| {name} | {one.fitted_on} films | {one.films} | {one.patients} | "
            f"{estimate_cell(one.pearson)} | {estimate_cell(one.mae)} |"
        )
    page = "\n".join(lines) + "\n"
    write_text(results / "open-2.md", page)
    content = {
        "command": COMMAND,
        "provenance": {**provenance(), "data": manifest_sha256(held_out_films(data))},
        "bundles": {name: _as_json(one) for name, one in scores.items()},
    }
    write_json(results / "open-2.json", content)
    return page


def _calibration_lines(scores: BundleScores, name: str) -> list[str]:
    groups = list(scores.calibration)
    if not groups:
        return []
    lines = [
        "## P(pneumonia) as a probability",
        "",
        f"Calibration error (ECE, 10 bins) of `{name}`. A user knows which share of films shows an "
        "opacity and gives it as `--prevalence`; here it is the share of the test films "
        "themselves. For the last row but one, labels are drawn from these probabilities: so much "
        "error a perfect map has on so few films.",
        "",
        "| P(pneumonia) | " + " | ".join(groups) + " |",
        "|---" * (len(groups) + 1) + "|",
        "| films with an opacity | "
        + " | ".join(f"{scores.calibration[group].prevalence:.3f}" for group in groups)
        + " |",
    ]
    for key, title in CALIBRATION.items():
        cells = [estimate_cell(getattr(scores.calibration[group], key)) for group in groups]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    floor = [f"{scores.calibration[group].floor:.3f}" for group in groups]
    lines.append("| the same, labels drawn | " + " | ".join(floor) + " |")
    share = [f"{scores.as_child[group]:.3f}" for group in groups]
    return [*lines, "| films taken for those of children | " + " | ".join(share) + " |", ""]


def _taken_for_children(films: Manifest, bundle: Bundle) -> float:
    """The share of films that the guard takes for those of children, by their look."""
    guard, size = bundle.guard, bundle.detector_config.image_size
    if guard is None:
        return 0.0
    seen = [prepare_film(read_film(path).pixels, size).pixels for path in films.film_paths()]
    return float(np.mean([guard.look(pixels).is_child for pixels in seen]))


def _predict(bundle: Bundle, films: Manifest, out: Path, device: torch.device) -> Prediction:
    model = Model(bundle, PredictOptions(), device)
    cached(
        out,
        {"bundle_id": model.bundle_id, "films": manifest_sha256(films)},
        lambda folder: predict_folder(model, manifest_films(films), folder),
    )
    return read_prediction(out)


def _scores(
    prediction: Prediction,
    baseline: Prediction | None,
    test: Manifest,
    severity: SeverityResult,
    bundle: Bundle,
) -> BundleScores:
    evaluations, flagged, calibration, as_child = {}, {}, {}, {}
    for group, sources in TEST_GROUPS.items():
        films = test.subset(test.images["source"].isin(sources))
        ids = set(films.images["image_id"])
        own = subset_prediction(prediction, ids)
        other = None if baseline is None else subset_prediction(baseline, ids)
        evaluations[group] = evaluate(own, films, baseline=other)
        flagged[group] = float((own.images["warning"] != "").mean())
        if bundle.calibration.prevalence is not None:
            calibration[group] = calibration_errors(own, films, bundle.calibration)
            as_child[group] = _taken_for_children(films, bundle)
    return BundleScores(
        evaluations=evaluations,
        against_normal=_against_normal(prediction, test),
        words=_word_scores(prediction, test),
        severity=severity,
        flagged=flagged,
        calibration=calibration,
        as_child=as_child,
    )


def _against_normal(prediction: Prediction, test: Manifest) -> Estimate:
    labels = test.labels
    shown = labels.loc[(labels["pneumonia"] == 1) | (labels["normal"] == 1), "image_id"]
    is_rsna = test.images["source"].isin(TEST_GROUPS["rsna"])
    films = test.subset(is_rsna & test.images["image_id"].isin(set(shown)))
    own = subset_prediction(prediction, set(films.images["image_id"]))
    return evaluate(own, films).row("film_auc").estimate


def _word_scores(prediction: Prediction, test: Manifest) -> dict[str, Estimate]:
    """Attribute AUC of words of place among films with boxes."""
    films = test.subset(test.images["image_id"].isin(set(test.boxes["image_id"])))
    boxes = films.boxes_by_image()
    sizes = films.images[["width", "height"]].to_numpy(np.float64)
    rows = []
    for image_id, (width, height) in zip(films.images["image_id"], sizes, strict=True):
        words = true_place_words(boxes[image_id], width, height)
        rows.append({"image_id": image_id, **{word: float(words[word]) for word in PLACE_WORDS}})
    targets = pd.DataFrame(rows)
    for keyword in prediction.keywords():
        if keyword not in targets:
            targets[keyword] = np.nan
    own = subset_prediction(prediction, set(films.images["image_id"]))
    evaluation = evaluate(own, films, targets=targets)
    return {
        word: row.estimate
        for word in PLACE_WORDS
        for row in evaluation.rows
        if row.key == f"attribute_{word}_auc"
    }


def _severity(prediction: Prediction, covid: Manifest) -> SeverityResult:
    """Fitted on all scored films, evaluated on Cohen's."""
    scored = severity_inputs(prediction, covid, SEVERITY)
    truth, groups = scored.truth, scored.patients
    predicted = out_of_fold(scored.features(), truth, groups)
    cohen = covid.labels.set_index("image_id")["cohen"]
    is_cohen = np.isfinite(
        cohen.reindex([film.image_id for film in scored.films]).to_numpy(np.float64)
    )
    found, true, patients = predicted[is_cohen], truth[is_cohen], groups[is_cohen]
    rng = np.random.default_rng(0)
    names = np.unique(patients)
    pearson, mae = [], []
    for _ in range(REPLICATES):
        rows = np.concatenate(
            [np.flatnonzero(patients == name) for name in rng.choice(names, len(names))]
        )
        if np.ptp(true[rows]) > 0:
            pearson.append(float(pearsonr(found[rows], true[rows])[0]))
        mae.append(float(np.abs(found[rows] - true[rows]).mean()))
    return SeverityResult(
        films=int(is_cohen.sum()),
        patients=len(names),
        fitted_on=len(truth),
        pearson=_estimate(float(pearsonr(found, true)[0]), np.array(pearson)),
        mae=_estimate(float(np.abs(found - true).mean()), np.array(mae)),
    )


def _estimate(value: float, resampled: Floats) -> Estimate:
    low, high = np.percentile(resampled, [2.5, 97.5])
    return Estimate(value, float(low), float(high))


def _cell(evaluation: Evaluation, key: str) -> str:
    row = next((row for row in evaluation.rows if row.key == key), None)
    return "-" if row is None or row.estimate.value is None else estimate_cell(row.estimate)


def _as_json(scores: BundleScores) -> dict[str, object]:
    return {
        "tests": {
            group: {
                row.key: {
                    "estimate": asdict(row.estimate),
                    "difference": None if row.difference is None else asdict(row.difference),
                }
                for row in evaluation.rows
            }
            for group, evaluation in scores.evaluations.items()
        },
        "films": {group: asdict(one.films) for group, one in scores.evaluations.items()},
        "rsna_against_normal": asdict(scores.against_normal),
        "words": {word: asdict(one) for word, one in scores.words.items()},
        "severity": asdict(scores.severity),
        "flagged": dict(scores.flagged),
        "calibration": {group: asdict(one) for group, one in scores.calibration.items()},
        "as_child": dict(scores.as_child),
    }
