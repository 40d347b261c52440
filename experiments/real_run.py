"""`run_real`: the whole road on open films, from boxes and notes to a tested, calibrated bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from attributes.lexicon import LEXICON_FOLDER, load_lexicon
from attributes.mine import mine_reports
from attributes.reports import ReportReader
from attributes.targets import read_targets
from attributes.vectors import (
    VectorOptions,
    read_word_vectors,
    train_word_vectors,
    write_word_vectors,
)
from data_manifests.manifest import Manifest, write_manifest
from detector.config import DetectorConfig, DetectorTrainConfig
from detector.model import load_detector
from detector.proposals import ProposalOptions
from detector.propose import Shard, propose_store
from detector.roi_store import RoiStore
from detector.train import train_detector
from experiments.controlled import SCALED
from experiments.open_data import OpenManifests, open_manifests
from localize.bundle import load_bundle
from localize.evaluate import evaluate
from localize.evaluation import Evaluation
from localize.make_bundle import make_bundle
from localize.pairs import make_pairs
from localize.predict import PredictOptions, manifest_films, predict_films
from localize.prediction import Prediction, read_prediction, write_prediction
from localize.settings import LocalizerSettings, localizer_settings
from localize.severity import SeverityFit, evaluate_severity
from localize.train import train_localizer

# Trains on two CPU cores; ResNet-50 at 512 px needs a GPU (docs/training.md).
DETECTOR = DetectorConfig(backbone="efficientnet_lite0", fpn_width=128, image_size=320)
DETECTOR_TRAINING = DetectorTrainConfig(
    epochs=10,
    batch_size=8,
    epoch_films=2000,
    boxed_share=0.7,
    source_weights={"rsna_nih_fullframe": 6.0},
    ema_decay=0.997,
    workers=1,
    precision="bfloat16",
)
TESTS = ("rsna full frames", "covid films with opacity boxes")


@dataclass(frozen=True)
class RealResult:
    """Evaluations by (test set, method) against the detector alone, and severity on COVID films."""

    evaluations: Mapping[tuple[str, str], Evaluation]
    severity: list[SeverityFit]
    predictions: Mapping[tuple[str, str], Prediction]


def run_real(
    data: Path,
    reports: Path,
    out: Path,
    *,
    backbone_weights: Path,
    device: torch.device,
) -> Iterator[str | RealResult]:
    """Train on the RSNA boxes and the COVID film-note pairs, test on both; yields lines, then the
    result. Finished parts in `out` are not done again.

    `reports` (a manifest or CSV of reports, such as Open-i's) teaches the word vectors.
    """
    manifests = open_manifests(data)
    for name in ("rsna", "covid"):
        write_manifest(getattr(manifests, name), out / name)
    if not (out / "detector" / "detector.safetensors").exists():
        yield "detector on the RSNA boxes"
        train_detector(
            manifests.rsna.split("train"),
            manifests.rsna.split("val"),
            out / "detector",
            config=DETECTOR,
            training=DETECTOR_TRAINING,
            backbone_weights=backbone_weights,
            device=device,
        )
    yield "attributes of the COVID notes, vectors of the reports"
    lexicon = load_lexicon("en")
    mine_reports(out / "covid", out / "mined", lexicon=lexicon, workers=1)
    if not (out / "words").exists():
        write_word_vectors(
            train_word_vectors(ReportReader(reports), lexicon, VectorOptions()), out / "words"
        )
    yield "regions of the COVID films"
    model, config, checksum = load_detector(out / "detector")
    propose_store(
        model,
        config,
        manifests.covid,
        out / "rois",
        detector_sha256=checksum,
        options=ProposalOptions(),
        shard=Shard(),
        skip_errors=False,
        batch_size=8,
        device=device,
    )
    predictions: dict[tuple[str, str], Prediction] = {}
    for method, settings in (
        ("proposed", LocalizerSettings()),
        ("proposed_printed", localizer_settings("paper", None, list(SCALED))),
    ):
        yield f"attention: {method}"
        bundle = _bundle(out, method, settings, manifests, device)
        for test, films in _tests(manifests):
            yield f"prediction: {method}, {test}"
            predictions[test, method] = _prediction(
                out / method / test.replace(" ", "_"), bundle, films, "localizer", device
            )
    for test, films in _tests(manifests):
        predictions[test, "retinanet"] = _prediction(
            out / "retinanet" / test.replace(" ", "_"),
            out / "proposed" / "bundle",
            films,
            "detector",
            device,
        )
    covid = _prediction(
        out / "proposed" / "covid_all",
        out / "proposed" / "bundle",
        manifests.covid,
        "localizer",
        device,
    )
    yield RealResult(
        evaluations={
            (test, method): evaluate(
                predictions[test, method],
                films,
                baseline=None if method == "retinanet" else predictions[test, "retinanet"],
            )
            for test, films in _tests(manifests)
            for method in ("retinanet", "proposed_printed", "proposed")
        },
        severity=evaluate_severity(covid, manifests.covid, column="severity", seed=0),
        predictions=predictions,
    )


def _tests(manifests: OpenManifests) -> list[tuple[str, Manifest]]:
    covid = manifests.covid.split("test")
    boxed = covid.images["image_id"].isin(set(covid.boxes["image_id"]))
    return [(TESTS[0], manifests.rsna.split("test")), (TESTS[1], covid.subset(boxed))]


def _bundle(
    out: Path,
    method: str,
    settings: LocalizerSettings,
    manifests: OpenManifests,
    device: torch.device,
) -> Path:
    folder = out / method / "bundle"
    if folder.exists():
        return folder
    targets = read_targets(out / "mined", policy=settings.training.target_policy)
    with RoiStore(out / "rois") as store:
        train, val = (
            make_pairs(
                manifests.covid.split(name),
                store,
                targets,
                include_normal=settings.training.include_normal,
            )
            for name in ("train", "val")
        )
        train_localizer(
            store,
            train,
            store,
            val,
            read_word_vectors(out / "words"),
            out / method / "localizer",
            config=settings.localizer,
            training=settings.training,
            device=device,
        )
    return make_bundle(
        folder,
        detector_run=out / "detector",
        localizer_run=out / method / "localizer",
        words=out / "words",
        lexicon=LEXICON_FOLDER / "en.yaml",
        validation=manifests.rsna.split("val"),
        severity_films=None,
        severity_column="severity",
        training_data="RSNA boxes (full and lung-masked frames), COVID film-note pairs",
        device=device,
    )


def _prediction(
    folder: Path, bundle: Path, films: Manifest, ranking: str, device: torch.device
) -> Prediction:
    if not (folder / "prediction.json").exists():
        options = PredictOptions(ranking="detector" if ranking == "detector" else "localizer")
        write_prediction(
            predict_films(load_bundle(bundle), manifest_films(films), options, device), folder
        )
    return read_prediction(folder)
