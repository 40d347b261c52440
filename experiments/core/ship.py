"""`ship`: the bundle of the package, from a finished run on open films, and what it can do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_sample_images

from attributes.lexicon.load import LEXICON_FOLDER
from data_manifests.films.read_film import read_film
from data_manifests.tables.manifest import Manifest
from detector.prepare import prepare_film
from experiments.core.open_run import FULL_FRAMES, OpenInput, open_input
from localize.bundle.bundle import Bundle, load_bundle
from localize.evaluation.evaluate import evaluate
from localize.evaluation.report import Evaluation
from localize.inference.film_list import manifest_films
from localize.inference.options import PredictOptions
from localize.inference.predict_films import predict_films
from localize.pipeline.make_bundle import make_bundle
from localize.pipeline.other_images import Pixels, other_images
from localize.prediction.tables import Prediction
from localize.severity.agreement import SeverityAgreement, evaluate_severity

METHOD = "proposed_frozen"  # whose attention is shipped, with the detector of RSNA's boxes
GUARD_SOURCES = ("rsna_nih_fullframe",)  # masked films are no films as they come
OTHERS_OF_A_KIND = 100
PHOTO_CUTS = 100
MIN_GROUP = 20  # films; smaller groups say nothing


@dataclass(frozen=True)
class Group:
    """A group of test films, such as one sex, and its evaluation."""

    name: str
    films: int
    evaluation: Evaluation


@dataclass(frozen=True)
class ShippedResult:
    """The bundle on its test films: predictions and evaluations by test set, that of the full
    frames with an opacity or normal (other diseases left out), groups of the full frames, severity
    out of fold, flagged share of pictures by kind, and calls of films by label; `trained` counts
    the detector's training films by source.
    """

    bundle: Bundle
    trained: dict[str, int]
    predictions: dict[str, Prediction]
    truths: dict[str, Manifest]
    evaluations: dict[str, Evaluation]
    against_normal: Evaluation
    groups: list[Group]
    severity: list[SeverityAgreement]
    flagged: dict[str, float]
    calls: pd.DataFrame


def ship_bundle(data: Path, reports: Path, work: Path, out: Path, device: torch.device) -> Path:
    """Pack the run of `experiment table1 --preset open` in `work` into a half-precision bundle.

    Calibrated on the validation full frames; severity is fitted on all scored COVID films (its
    error is measured out of fold); the guard on full frames and COVID films of training.
    """
    found = open_input(data, reports, work)
    run = work / METHOD / "localizer"
    return make_bundle(
        out,
        detector_run=work / "detector",
        localizer_run=run,
        words=work / "words",
        lexicon=LEXICON_FOLDER / "en.yaml",
        validation=found.films.boxed.split("val"),
        severity_films=_scored(found.covid),
        severity_column="severity",
        guard_films=[_guard_films(found), found.covid],
        half_precision=True,
        training_data=found.films.training_data,
        device=device,
    )


def judge_bundle(
    data: Path, reports: Path, work: Path, folder: Path, device: torch.device
) -> ShippedResult:
    """Everything that the model card says of a bundle, on films of patients it has not seen."""
    found, bundle = open_input(data, reports, work), load_bundle(folder)
    options = PredictOptions()
    truths = {test.name: test.films for test in found.films.tests}
    predictions = {
        name: predict_films(bundle, manifest_films(films), options, device)
        for name, films in truths.items()
    }
    evaluations = {name: evaluate(predictions[name], films) for name, films in truths.items()}
    normal = _opacity_or_normal(truths[FULL_FRAMES])
    scored = _scored(found.covid)
    scores = predict_films(bundle, manifest_films(scored), options, device)
    return ShippedResult(
        bundle=bundle,
        trained={
            str(name): int(count)
            for name, count in found.films.boxed.split("train")
            .images["source"]
            .value_counts()
            .items()
        },
        predictions=predictions,
        truths=truths,
        evaluations=evaluations,
        against_normal=evaluate(
            _part(predictions[FULL_FRAMES], set(normal.images["image_id"])), normal
        ),
        groups=_groups(predictions[FULL_FRAMES], truths[FULL_FRAMES]),
        severity=evaluate_severity(scores, scored, column="severity", seed=0),
        flagged=_flagged(bundle, predictions, truths),
        calls=_calls(predictions[FULL_FRAMES], truths[FULL_FRAMES]),
    )


def _scored(covid: Manifest) -> Manifest:
    known = covid.labels["severity"].notna() & (covid.labels["severity"].astype("str") != "")
    return covid.subset(covid.images["image_id"].isin(set(covid.labels.loc[known, "image_id"])))


def _guard_films(found: OpenInput) -> Manifest:
    boxed = found.films.boxed
    return boxed.subset(boxed.images["source"].isin(GUARD_SOURCES))


def _opacity_or_normal(films: Manifest) -> Manifest:
    labels = films.labels
    kept = labels.loc[(labels["pneumonia"] == 1) | (labels["normal"] == 1), "image_id"]
    return films.subset(films.images["image_id"].isin(set(kept)))


def _groups(prediction: Prediction, films: Manifest) -> list[Group]:
    """Evaluations by projection, sex and age of groups with enough films."""
    labels = films.images.merge(films.labels, on="image_id", how="left")
    age = pd.to_numeric(labels["age"], errors="coerce")
    ages = pd.cut(
        age, [0, 40, 60, 200], right=False, labels=["under 40", "40 to 59", "60 and over"]
    )
    found = []
    for kind, values in (("view", labels["view"]), ("sex", labels["sex"]), ("age", ages)):
        for value in sorted(set(values.dropna().astype("str")) - {""}):
            ids = set(labels.loc[values.astype("str") == value, "image_id"])
            if len(ids) >= MIN_GROUP:
                part = films.subset(films.images["image_id"].isin(ids))
                own = _part(prediction, ids)
                found.append(Group(f"{kind} {value}", len(ids), evaluate(own, part)))
    return found


def _part(prediction: Prediction, ids: set[str]) -> Prediction:
    """The prediction of some of its films."""
    images, boxes, attributes = (
        table[table["image_id"].isin(ids)].reset_index(drop=True)
        for table in (prediction.images, prediction.boxes, prediction.attributes)
    )
    return Prediction(images, boxes, attributes, prediction.info)


def _flagged(
    bundle: Bundle, predictions: dict[str, Prediction], truths: dict[str, Manifest]
) -> dict[str, float]:
    """Share of pictures that the guard flags: test films, spoilt ones, drawings, photographs."""
    shares = {
        name: float((prediction.images["warning"] != "").mean())
        for name, prediction in predictions.items()
    }
    films = [read_film(path).pixels for path in truths[FULL_FRAMES].film_paths()]
    others = other_images(films, each=OTHERS_OF_A_KIND, rng=np.random.default_rng(1))
    others["photographs (no such were fitted)"] = _photographs(np.random.default_rng(2))
    guard, size = bundle.guard, bundle.detector_config.image_size
    if guard is not None:
        for kind, pictures in others.items():
            seen = (prepare_film(picture, size).pixels for picture in pictures)
            shares[kind] = float(np.mean([guard.warning(pixels) != "" for pixels in seen]))
    return shares


def _photographs(rng: np.random.Generator) -> list[Pixels]:
    """Cuts of scikit-learn's two sample photographs."""
    photos = [photo.mean(axis=2).astype(np.float32) / 255 for photo in load_sample_images().images]
    cuts = []
    for number in range(PHOTO_CUTS):
        photo = photos[number % len(photos)]
        height, width = (int(side * rng.uniform(0.3, 1.0)) for side in photo.shape)
        top = int(rng.integers(0, photo.shape[0] - height + 1))
        left = int(rng.integers(0, photo.shape[1] - width + 1))
        cuts.append(photo[top : top + height, left : left + width])
    return cuts


def _calls(prediction: Prediction, films: Manifest) -> pd.DataFrame:
    """Films by label (rows) and by call (yes, no, unsure)."""
    joined = prediction.images.merge(films.labels[["image_id", "pneumonia"]], on="image_id")
    known = joined[joined["pneumonia"].isin([0, 1])]
    table = pd.crosstab(known["pneumonia"].astype(int), known["opacity"])
    return table.reindex(index=[0, 1], columns=["no", "unsure", "yes"], fill_value=0)
