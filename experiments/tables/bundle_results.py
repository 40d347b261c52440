"""`evaluate_bundle`: everything that the model card states, on held-out patients."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.datasets import load_sample_images

from data_manifests.films.other_images import Pixels, other_images
from data_manifests.films.read_film import read_film
from data_manifests.tables.manifest import Manifest
from detector.prepare import prepare_film
from experiments.core.package_bundle import scored_films
from experiments.data.open_input import FULL_FRAMES, open_input
from experiments.tables.table2_runs import subset_prediction
from localize.bundle.bundle import Bundle, load_bundle
from localize.evaluation.evaluate import evaluate
from localize.evaluation.report import Evaluation
from localize.inference.film_list import manifest_films
from localize.inference.options import PredictOptions
from localize.inference.predict_films import predict_films
from localize.prediction.tables import Prediction
from localize.severity.agreement import SeverityAgreement, evaluate_severity

OTHERS_OF_A_KIND = 100
PHOTO_CUTS = 100
MIN_GROUP = 20  # films; smaller groups tell nothing


@dataclass(frozen=True)
class Group:
    """A group of test films, such as one sex, and its evaluation."""

    name: str
    films: int
    evaluation: Evaluation


@dataclass(frozen=True)
class BundleResult:
    """The bundle on its test films.

    Args:
        bundle: the evaluated bundle.
        trained: number of the detector's training films by source.
        predictions: by test set.
        truths: by test set.
        evaluations: by test set.
        against_normal: full frames with an opacity or normal; other diseases are left out.
        groups: groups of the full frames.
        severity: severity scores out of fold.
        flagged: share of pictures that the film guard flags, by kind.
        calls: full frames by label (rows) and by call (columns no, unsure, yes).
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


def evaluate_bundle(
    data: Path, reports: Path, work: Path, folder: Path, device: torch.device
) -> BundleResult:
    """Evaluate the bundle `folder` on the test films of the open run in `work`."""
    found, bundle = open_input(data, reports, work), load_bundle(folder)

    def predict(films: Manifest) -> Prediction:
        return predict_films(bundle, manifest_films(films), PredictOptions(), device)

    truths = {test.name: test.films for test in found.films.tests}
    predictions = {name: predict(films) for name, films in truths.items()}
    full_frames, normal = predictions[FULL_FRAMES], _opacity_or_normal(truths[FULL_FRAMES])
    scored = scored_films(found.covid)
    sources = found.films.boxed.split("train").images["source"].value_counts()
    return BundleResult(
        bundle=bundle,
        trained={str(name): int(count) for name, count in sources.items()},
        predictions=predictions,
        truths=truths,
        evaluations={name: evaluate(predictions[name], films) for name, films in truths.items()},
        against_normal=evaluate(
            subset_prediction(full_frames, set(normal.images["image_id"])), normal
        ),
        groups=_groups(full_frames, truths[FULL_FRAMES]),
        severity=evaluate_severity(predict(scored), scored, column="severity", seed=0),
        flagged=_flagged(bundle, predictions, truths),
        calls=_calls(full_frames, truths[FULL_FRAMES]),
    )


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
                own = subset_prediction(prediction, ids)
                found.append(Group(f"{kind} {value}", len(ids), evaluate(own, part)))
    return found


def _flagged(
    bundle: Bundle, predictions: dict[str, Prediction], truths: dict[str, Manifest]
) -> dict[str, float]:
    """Share of pictures that the guard flags: test films, altered ones, drawings, photographs."""
    shares = {
        name: float((prediction.images["warning"] != "").mean())
        for name, prediction in predictions.items()
    }
    films = [read_film(path).pixels for path in truths[FULL_FRAMES].film_paths()]
    others = other_images(films, each=OTHERS_OF_A_KIND, rng=np.random.default_rng(1))
    others["photographs (none in training)"] = _photographs(np.random.default_rng(2))
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
