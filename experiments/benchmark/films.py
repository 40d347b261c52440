"""Films and a bundle with random weights, for the benchmark of prediction."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from attributes.lexicon.load import LEXICON_FOLDER
from attributes.vectors.word_vectors import write_word_vectors
from data_manifests.phantom.case import PhantomOptions
from data_manifests.phantom.generate import SplitShares, build_phantom
from data_manifests.support.atomic import write_json
from data_manifests.tables.manifest import Manifest, read_manifest
from detector.config import DetectorConfig
from detector.network.model import build_detector
from detector.network.weights import weights_sha256
from experiments.benchmark.attention import KEYWORDS, random_words
from experiments.benchmark.sizes import Bench, BenchmarkSize
from localize.bundle.calibration import Calibration
from localize.bundle.write_bundle import write_bundle
from localize.network.config import LocalizerConfig
from localize.network.localizer import build_localizer


def phantom_films(bench: Bench) -> Manifest:
    """The benchmark's films, made once in a work folder."""
    folder = bench.work / "films"
    if (folder / "manifest.json").is_file():
        return read_manifest(folder)
    options = PhantomOptions(size=bench.size.film_px, prevalence=1.0)  # trained on, too
    shares = SplitShares(val=0.0, test=0.0)
    return build_phantom(folder, options, films=bench.size.films, shares=shares)


def benchmark_bundle(bench: Bench) -> Path:
    """The user's bundle, or one with random weights."""
    if bench.bundle is not None:
        return bench.bundle
    folder = bench.work / "bundle"
    if not folder.exists():
        write_random_bundle(folder, bench.size)
    return folder


def write_random_bundle(folder: Path, size: BenchmarkSize) -> None:
    """A bundle of untrained networks whose scores and boxes differ between anchors."""
    runs = folder.with_name("runs")
    tensors = _write_detector(runs / "detector", size.detector)
    config = LocalizerConfig()
    sizes = {
        "feature_width": size.detector.fpn_width,
        "word_width": size.word_width,
        "keywords": KEYWORDS,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        localizer = build_localizer(config, **sizes)
    words = random_words(size)
    (runs / "localizer").mkdir(parents=True)
    save_file(localizer.state_dict(), runs / "localizer" / "localizer.safetensors")
    write_json(
        runs / "localizer" / "localizer.json",
        {
            "localizer": config.model_dump(mode="json"),
            "sizes": sizes,
            "detector_sha256": tensors,
            "keywords": list(words.keywords),
        },
    )
    write_word_vectors(words, runs / "words")
    write_bundle(
        folder,
        detector_run=runs / "detector",
        localizer_run=runs / "localizer",
        words_folder=runs / "words",
        lexicon=LEXICON_FOLDER / "en.yaml",
        calibration=Calibration(),
        severity=None,
        training_data="nothing: random weights for the benchmark",
        model_card="# Random weights\n",
    )


def _write_detector(folder: Path, config: DetectorConfig) -> str:
    """Weights and settings of an untrained detector; returns the weights' SHA-256."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_detector(config)
        # Untrained heads give one score everywhere, and all boxes suppress each other.
        torch.nn.init.normal_(model.head.classification_head.cls_logits.weight, std=0.1)
        torch.nn.init.normal_(model.head.regression_head.bbox_reg.weight, std=0.02)
    folder.mkdir(parents=True)
    tensors = model.state_dict()
    save_file(tensors, folder / "detector.safetensors")
    description = json.loads(config.model_dump_json())
    write_json(folder / "detector.json", description)
    return weights_sha256(tensors)
