"""`run_controlled`: does text from hospital B move boxes? On phantom films, where all is known.

For each seed a fresh phantom, detector and localizers; all test films of all seeds are then judged
together, so that intervals cover the seeds as well as the patients.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from data_manifests.manifest import Manifest, make_manifest, read_manifest
from localize.bundle import Bundle, load_bundle
from localize.evaluate import evaluate
from localize.evaluation import Evaluation
from localize.film_regions import Ranking
from localize.grounding import is_on_side
from localize.predict import PredictOptions, film_results, manifest_films, predict_films
from localize.prediction import Prediction, read_prediction, write_prediction
from localize.quickstart import QuickstartSize, bundle_of, run_quickstart, train_attention
from localize.settings import LocalizerSettings, localizer_settings

CPU = torch.device("cpu")
SIDES = ("left", "right")
FINISHED = "evaluation.md"  # what a quickstart writes when its trainings are done
# The preset is for 11,308 pairs: a few hundred need as many steps in smaller batches.
SCALED = ("training.batch_size=32", "training.lr=0.001", "training.epochs=60")


@dataclass(frozen=True)
class Method:
    """One row of the table: a name, localizer settings (None: the detector alone)."""

    name: str
    settings: LocalizerSettings | None


@dataclass(frozen=True)
class ControlledResult:
    """All methods on the pooled test films, and the share of side words that found their side."""

    evaluations: Mapping[str, Evaluation]
    sides: Mapping[str, SideCount]


@dataclass(frozen=True)
class SideCount:
    """Films with an opacity, asked for both sides: how often the region to which the attribute head
    says `left` (or `right`) most surely lies on that side."""

    asked: int
    correct: int


def default_methods() -> list[Method]:
    """The detector alone, the method as printed with and without classification, and ours."""
    paper = localizer_settings("paper", None, list(SCALED))
    no_bce = paper.training.model_copy(update={"bce_weight": 0.0})
    return [
        Method("retinanet", None),
        Method("proposed_printed", paper),
        Method("proposed_no_classification", paper.model_copy(update={"training": no_bce})),
        Method("proposed", LocalizerSettings()),
    ]


def run_controlled(
    out: Path, *, seeds: Sequence[int], size: QuickstartSize, methods: Sequence[Method]
) -> Iterator[str | ControlledResult]:
    """Train and judge every method on every seed; yields progress lines, at the end the result.

    Finished parts in `out` are not done again.
    """
    predictions: dict[str, list[Prediction]] = {method.name: [] for method in methods}
    tests, sides = [], {method.name: SideCount(0, 0) for method in methods}
    for seed in seeds:
        folder = out / f"seed_{seed}"
        yield f"seed {seed}"
        if not (folder / FINISHED).exists():
            for line in run_quickstart(folder, seed=seed, size=size):
                yield f"  {line}"
        test = read_manifest(folder / "hospital_b").split("test")
        tests.append(_numbered(test, seed))
        for method in methods:
            prediction, count = _method_prediction(folder, test, method, seed)
            predictions[method.name].append(_renamed(prediction, seed))
            before = sides[method.name]
            sides[method.name] = SideCount(
                before.asked + count.asked, before.correct + count.correct
            )
    truth = _pooled_manifest(tests)
    pooled = {name: _pooled_prediction(parts) for name, parts in predictions.items()}
    targets = _true_attributes(truth)
    yield ControlledResult(
        evaluations={
            name: evaluate(
                prediction,
                truth,
                baseline=None if name == "retinanet" else pooled.get("retinanet"),
                targets=targets,
            )
            for name, prediction in pooled.items()
        },
        sides=sides,
    )


def _method_prediction(
    folder: Path, test: Manifest, method: Method, seed: int
) -> tuple[Prediction, SideCount]:
    """A method's prediction of the test films of one seed, and its side count."""
    place = folder / "methods" / method.name
    if method.settings is None:
        bundle = load_bundle(folder / "bundle")
        ranking: Ranking = "detector"
    else:
        training = method.settings.training.model_copy(update={"seed": seed})
        settings = method.settings.model_copy(update={"training": training})
        if not (place / "bundle").exists():
            train_attention(folder, place / "localizer", settings, CPU)
        bundle = load_bundle(bundle_of(folder, place / "localizer", place / "bundle", CPU))
        ranking = "localizer"
    options = PredictOptions(ranking=ranking)
    if not (place / "prediction" / "prediction.json").exists():
        prediction = predict_films(bundle, manifest_films(test), options, CPU)
        write_prediction(prediction, place / "prediction")
    prediction = read_prediction(place / "prediction")
    if method.settings is None:
        return prediction, SideCount(0, 0)
    return prediction, _count_sides(bundle, test, options)


def _count_sides(bundle: Bundle, test: Manifest, options: PredictOptions) -> SideCount:
    """Ask every film with an opacity for its `left` and its `right` region."""
    asked = correct = 0
    films = test.subset(test.images["image_id"].isin(set(test.boxes["image_id"])))
    for streamed, found in film_results(bundle, films.film_paths(), options, CPU):
        if found is None:
            continue
        for side in SIDES:
            best = int(found.region_attributes[:, bundle.words.keywords.index(side)].argmax())
            asked += 1
            correct += bool(is_on_side(found.ranked.xyxy[[best]], streamed.width, side)[0])
    return SideCount(asked, correct)


def _numbered(manifest: Manifest, seed: int) -> Manifest:
    """The same films with ids that are unique over seeds."""
    tables = {
        name: getattr(manifest, name).copy() for name in ("images", "boxes", "reports", "labels")
    }
    for table in tables.values():
        for column in ("image_id", "patient_id", "study_id"):
            if column in table:
                table[column] = f"{seed}:" + table[column].astype("str")
    return make_manifest(**tables, info=manifest.info, root=manifest.root)


def _renamed(prediction: Prediction, seed: int) -> Prediction:
    tables = [
        table.assign(image_id=f"{seed}:" + table["image_id"].astype("str"))
        for table in (prediction.images, prediction.boxes, prediction.attributes)
    ]
    return Prediction(tables[0], tables[1], tables[2], prediction.info)


def _pooled_manifest(parts: Sequence[Manifest]) -> Manifest:
    tables = {
        name: pd.concat([getattr(part, name) for part in parts], ignore_index=True)
        for name in ("images", "boxes", "reports", "labels")
    }
    return make_manifest(**tables, info=parts[0].info, root=parts[0].root)


def _pooled_prediction(parts: Sequence[Prediction]) -> Prediction:
    return Prediction(
        pd.concat([part.images for part in parts], ignore_index=True),
        pd.concat([part.boxes for part in parts], ignore_index=True),
        pd.concat([part.attributes for part in parts], ignore_index=True),
        parts[0].info,
    )


def _true_attributes(truth: Manifest) -> pd.DataFrame:
    """The planted attributes of every film, whatever its report says."""
    planted = [name for name in truth.labels.columns if str(name).startswith("kw_")]
    table = truth.labels[["image_id", *planted]]
    return table.rename(columns={name: str(name).removeprefix("kw_") for name in planted})
