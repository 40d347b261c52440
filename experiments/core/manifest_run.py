"""`run_manifests`: films from manifests to trained parts, and every method evaluated on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

import torch

from attributes.lexicon.load import load_lexicon
from attributes.mine import mine_reports
from attributes.reports import ReportReader
from attributes.vectors.word_vectors import VectorOptions, train_word_vectors, write_word_vectors
from data_manifests.tables.leaks import refuse_overlap_leaks
from detector.train import train_detector
from experiments.core.evaluate_methods import (
    MethodDifference,
    differences_to_controls,
    evaluate_methods,
)
from experiments.core.presets import ManifestPreset
from experiments.data.manifest_input import ManifestInput
from experiments.methods.inputs import ExperimentInput, Progress, no_progress
from experiments.methods.method import Method, method_predictions
from localize.evaluation.report import Evaluation
from localize.pipeline.attention import PairParts, propose_films
from localize.pipeline.cached import cached


@dataclass(frozen=True)
class ManifestResult:
    """Evaluations by (test set, method), each against RetinaNet, and differences to controls."""

    evaluations: Mapping[tuple[str, str], Evaluation]
    differences: Sequence[MethodDifference]
    methods: tuple[Method, ...]


def run_manifests(
    films: ManifestInput,
    out: Path,
    *,
    preset: ManifestPreset,
    backbone_weights: Path | None,
    device: torch.device,
    progress: Progress = no_progress,
) -> ManifestResult:
    """Train what is not cached in `out`, and evaluate every method on every test set.

    Raises:
        DataError: a test patient or film that training has seen, unless its leak is allowed.
        ConfigError: bad settings, a package that is not installed, or `out` has other settings.
    """
    for test in films.tests:
        for trained in (films.boxed, films.pairs):
            seen = trained.subset(trained.images["split"].isin(("train", "val")))
            refuse_overlap_leaks(seen, test.films, allow=films.allow)
    methods = preset.repeated_methods()
    for method in methods:
        method.check_installed()
    inputs = prepare_input(
        films,
        out,
        preset=preset,
        backbone_weights=backbone_weights,
        device=device,
        progress=progress,
    )
    evaluations: dict[tuple[str, str], Evaluation] = {}
    differences: list[MethodDifference] = []
    for test in films.tests:
        predictions = {}
        for method in methods:
            progress(f"{method.name}, {test.name}")
            predictions[method.name] = method_predictions(method, inputs, test)
        for name, evaluation in evaluate_methods(predictions, methods, test.films).items():
            evaluations[test.name, name] = evaluation
        differences += differences_to_controls(predictions, methods, test.name, test.films)
    return ManifestResult(evaluations, differences, methods)


def prepare_input(
    films: ManifestInput,
    out: Path,
    *,
    preset: ManifestPreset,
    backbone_weights: Path | None,
    device: torch.device,
    progress: Progress = no_progress,
) -> ExperimentInput:
    """Detector, attributes, word vectors and ROIs in `out`; cached parts are not redone.

    Raises:
        ConfigError: `out` was made with another seed, detector or word vectors.
    """
    progress("detector on the boxes")
    training = preset.detector_training.model_copy(update={"seed": preset.seed})
    detector = cached(
        out / "detector",
        {"config": preset.detector.model_dump(mode="json"), **training.model_dump(mode="json")},
        lambda folder: train_detector(
            films.boxed.split("train"),
            films.boxed.split("val"),
            folder,
            config=preset.detector,
            training=training,
            backbone_weights=backbone_weights,
            device=device,
        ),
    )
    progress("attributes and word vectors of the reports")
    lexicon = load_lexicon("en")
    attributes = cached(
        out / "attributes",
        {"reports_sha256": sha256(films.pairs.reports.to_csv(index=False).encode()).hexdigest()},
        lambda folder: mine_reports(films.pairs_folder, folder, lexicon=lexicon, workers=1),
    )
    vectors = VectorOptions(dim=preset.vectors.dim, epochs=preset.vectors.epochs, seed=preset.seed)
    words = cached(
        out / "words",
        asdict(vectors),
        lambda folder: write_word_vectors(
            train_word_vectors(ReportReader(films.reports), lexicon, vectors), folder
        ),
    )
    progress("ROIs of the films with reports")
    rois = propose_films(detector, films.pairs, out / "rois", device)
    return ExperimentInput(
        parts=PairParts(
            detector=detector,
            rois=rois,
            attributes=attributes,
            words=words,
            pairs=films.pairs,
            validation=films.boxed.split("val"),
            training_data=films.training_data,
        ),
        boxed=films.boxed,
        out=out,
        seed=preset.seed,
        device=device,
        classifier=preset.classifier.with_pretrained(backbone_weights is not None),
        adaptation=preset.adaptation,
        backbone_weights=backbone_weights,
    )
