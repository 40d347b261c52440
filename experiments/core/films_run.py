"""`run_films`: from manifests to a trained detector, words and regions, and every method judged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from attributes.lexicon.load import load_lexicon
from attributes.mine import mine_reports
from attributes.reports import ReportReader
from attributes.vectors.word_vectors import VectorOptions, train_word_vectors, write_word_vectors
from data_manifests.tables.leaks import refuse_overlap_leaks
from data_manifests.tables.manifest import Manifest
from detector.boxed_films import BoxedFilms
from detector.train_from_config import train_from_config
from experiments.core.judge import ControlDifference, control_differences, judge_methods
from experiments.core.presets import FilmsPreset
from experiments.core.repeats import joined_draws
from experiments.core.road import Road, TestSet
from experiments.methods.method import Method, MethodSpec, build_method, method_prediction
from localize.evaluation.report import Evaluation
from localize.pipeline.cached import keep_settings
from localize.pipeline.stages import PairParts, propose_stage
from localize.prediction.tables import Prediction


@dataclass(frozen=True)
class FilmsInput:
    """Films of a run.

    `boxed` (boxes, splits train and val) trains the detector; `pairs` (reports, splits train and
    val) the attention, and lies as a manifest in `pairs_folder`; `reports` (a manifest or CSV)
    teaches the word vectors. `allow` names accepted leaks, see `data_manifests.tables.leaks`.
    """

    boxed: Manifest
    pairs: Manifest
    pairs_folder: Path
    reports: Path
    tests: tuple[TestSet, ...]
    training_data: str
    allow: tuple[str, ...] = ()


@dataclass(frozen=True)
class FilmsResult:
    """Evaluations and predictions by (test set, method), each against the detector alone; by test
    set how far `proposed` is from its controls."""

    evaluations: Mapping[tuple[str, str], Evaluation]
    predictions: Mapping[tuple[str, str], Prediction]
    controls: Mapping[str, Sequence[ControlDifference]]
    tests: tuple[TestSet, ...]
    methods: tuple[Method, ...]
    road: Road


def run_films(
    films: FilmsInput,
    out: Path,
    *,
    preset: FilmsPreset,
    backbone_weights: Path | None,
    device: torch.device,
) -> Iterator[str | FilmsResult]:
    """Train what is not in `out` yet, and judge every method on every test set.

    Yields progress lines, at the end the result.

    Raises:
        DataError: a test patient or film that training has seen, unless its leak is allowed.
        ConfigError: bad settings, a package that is not installed, or `out` is of other settings.
    """
    for test in films.tests:
        for trained in (films.boxed, films.pairs):
            seen = trained.subset(trained.images["split"].isin(("train", "val")))
            refuse_overlap_leaks(seen, test.films, allow=films.allow)
    methods = tuple(film_method(spec, preset.trainings) for spec in preset.methods)
    yield from prepare_films(
        films, out, preset=preset, backbone_weights=backbone_weights, device=device
    )
    road = films_road(films, out, preset=preset, backbone_weights=backbone_weights, device=device)
    predictions: dict[tuple[str, str], Prediction] = {}
    evaluations: dict[tuple[str, str], Evaluation] = {}
    controls: dict[str, list[ControlDifference]] = {}
    for test in films.tests:
        for method in methods:
            yield f"{method.name}, {test.name}"
            predictions[test.name, method.name] = film_prediction(method, road, test)
        own = {method.name: predictions[test.name, method.name] for method in methods}
        for name, evaluation in judge_methods(own, methods, test.films).items():
            evaluations[test.name, name] = evaluation
        controls[test.name] = control_differences(own, methods, test.films)
    yield FilmsResult(evaluations, predictions, controls, films.tests, methods, road)


def film_method(spec: MethodSpec, trainings: int) -> Method:
    """The method of a specification; each training of an adaptation is a draw."""
    method = build_method(spec)
    return replace(method, draws=trainings) if method.adapts else method


def film_prediction(method: Method, road: Road, test: TestSet) -> Prediction:
    """A method's prediction of a test set; of an adaptation that of all its trainings.

    The first training lies in the road's place, the others in `training_1`, ... of it.
    """
    if not method.adapts or method.draws == 1:
        return method_prediction(method, road, test)
    roads = [road] + [
        replace(road, seed=road.seed + number, place=road.place / f"training_{number}")
        for number in range(1, method.draws)
    ]
    return joined_draws([method_prediction(method, one, test) for one in roads])


def prepare_films(
    films: FilmsInput,
    out: Path,
    *,
    preset: FilmsPreset,
    backbone_weights: Path | None,
    device: torch.device,
) -> Iterator[str]:
    """Detector, attributes, word vectors and regions in `out`; finished parts are kept.

    Raises:
        ConfigError: `out` was made with another seed, detector or word vectors.
    """
    made_with = preset.model_dump(mode="json")
    parts = ("detector", "detector_training", "vectors")
    settings = {
        f"{part}.{name}": made_with[part][name] for part in parts for name in made_with[part]
    }
    keep_settings(out / "settings.json", {"seed": preset.seed, **settings})
    if not (out / "detector" / "detector.safetensors").exists():
        yield "detector on the boxes"
        train_from_config(
            BoxedFilms.of(films.boxed),
            out / "detector",
            config=preset.detector,
            training=preset.detector_training.model_copy(update={"seed": preset.seed}),
            backbone_weights=backbone_weights,
            device=device,
        )
    yield "attributes and word vectors of the reports"
    lexicon = load_lexicon("en")
    mine_reports(films.pairs_folder, out / "mined", lexicon=lexicon, workers=1)
    if not (out / "words").exists():
        options = VectorOptions(
            dim=preset.vectors.dim, epochs=preset.vectors.epochs, seed=preset.seed
        )
        write_word_vectors(
            train_word_vectors(ReportReader(films.reports), lexicon, options), out / "words"
        )
    yield "regions of the films with reports"
    propose_stage(out / "detector", films.pairs, out / "rois", device=device)


def films_road(
    films: FilmsInput,
    out: Path,
    *,
    preset: FilmsPreset,
    backbone_weights: Path | None,
    device: torch.device,
) -> Road:
    """The road of a prepared folder."""
    classifier = preset.classifier.classifier.model_copy(
        update={"is_pretrained": backbone_weights is not None}
    )
    return Road(
        parts=PairParts(
            detector=out / "detector",
            rois=out / "rois",
            attributes=out / "mined",
            words=out / "words",
            pairs=films.pairs,
            validation=films.boxed.split("val"),
            training_data=films.training_data,
        ),
        boxed=films.boxed,
        place=out,
        seed=preset.seed,
        device=device,
        classifier=preset.classifier.model_copy(update={"classifier": classifier}),
        backbone_weights=backbone_weights,
    )
