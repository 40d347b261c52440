"""`run_manifests`: films from manifests to trained parts, and every method evaluated on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from attributes.vectors.word_vectors import VectorOptions
from data_manifests.tables.leaks import refuse_overlap_leaks
from experiments.core.evaluate_methods import (
    MethodDifference,
    differences_to_controls,
    evaluate_methods,
)
from experiments.core.presets import ManifestPreset
from experiments.data.manifest_input import ManifestInput
from experiments.methods.inputs import ExperimentInput, Progress, no_progress
from experiments.methods.method import Method, method_predictions
from experiments.methods.pseudo_label_quality import PseudoLabelQuality, pseudo_label_quality
from localize.bundle.packaged import FIRST_BUNDLE
from localize.evaluation.report import Evaluation
from localize.pipeline.stages import (
    PairParts,
    mine_stage,
    propose_stage,
    train_detector_stage,
    word_vectors_stage,
)


@dataclass(frozen=True)
class ManifestRun:
    """A run on films from manifests in the output folder `out`; cached parts are not redone."""

    films: ManifestInput
    out: Path
    preset: ManifestPreset
    backbone_weights: Path | None
    device: torch.device

    def inputs(self, progress: Progress = no_progress) -> ExperimentInput:
        """The input of the methods: detector, attributes, word vectors and ROIs.

        Raises:
            ConfigError: `out` was made with another seed, detector or word vectors.
        """
        preset, films, out = self.preset, self.films, self.out
        progress("detector on the boxes")
        detector = self._detector()
        progress("attributes and word vectors of the reports")
        attributes = mine_stage(films.pairs_folder, out / "attributes")
        words = self._words()
        rois = out / "rois"
        if preset.chosen_boxes or any(method.reads_pairs for method in preset.methods):
            progress("ROIs of the films with reports")
            propose_stage(detector, films.pairs, rois, device=self.device)
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
            device=self.device,
            classifier=preset.classifier.with_pretrained(self.backbone_weights is not None),
            adaptation=preset.adaptation,
            backbone_weights=self.backbone_weights,
        )

    def _detector(self) -> Path:
        if self.preset.packaged_detector:
            return FIRST_BUNDLE
        return train_detector_stage(
            self.films.boxed,
            self.out / "detector",
            config=self.preset.detector,
            training=self.preset.detector_training.model_copy(update={"seed": self.preset.seed}),
            backbone_weights=self.backbone_weights,
            device=self.device,
        )

    def _words(self) -> Path:
        if self.preset.packaged_detector:
            return FIRST_BUNDLE
        vectors = self.preset.vectors
        options = VectorOptions(dim=vectors.dim, epochs=vectors.epochs, seed=self.preset.seed)
        return word_vectors_stage(self.films.reports, self.out / "words", options)


@dataclass(frozen=True)
class ManifestResult:
    """Evaluations by (test set, method), each against RetinaNet, and differences to controls;
    quality of pseudo-labels where the preset asks for it."""

    run: ManifestRun
    evaluations: Mapping[tuple[str, str], Evaluation]
    differences: Sequence[MethodDifference]
    methods: tuple[Method, ...]
    pseudo_labels: Sequence[PseudoLabelQuality] = ()


def run_manifests(run: ManifestRun, progress: Progress = no_progress) -> ManifestResult:
    """Train what is not cached, and evaluate every method on every test set.

    Raises:
        DataError: a test patient or film that training has seen, unless its leak is allowed.
        ConfigError: bad settings, a package that is not installed, or `out` has other settings.
    """
    films = run.films
    for test in films.tests:
        for trained in (films.boxed, films.pairs):
            seen = trained.subset(trained.images["split"].isin(("train", "val")))
            refuse_overlap_leaks(seen, test.films, allow=films.allow)
    methods = run.preset.repeated_methods()
    for method in methods:
        method.check_installed()
    inputs = run.inputs(progress)
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
    pseudo_labels = pseudo_label_quality([inputs], run.preset.chosen_boxes)
    return ManifestResult(run, evaluations, differences, methods, pseudo_labels)
