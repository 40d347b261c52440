"""A ROI store with a planted truth, the tiny bundle, and runs in processes of their own."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import torch
from PIL import Image
from safetensors.torch import save_file

from attributes.lexicon.load import LEXICON_FOLDER
from attributes.targets.training_targets import Targets, read_targets
from attributes.vectors.word_vectors import WordVectors, write_word_vectors
from data_manifests.tables.manifest import Manifest, ManifestInfo, make_manifest, write_manifest
from detector.config import DetectorConfig
from detector.network.model import build_detector
from detector.network.weights import weights_sha256
from detector.proposals import FilmRois, ProposalOptions, Rois
from detector.roi_store import RoiStore, StoreHeader, create_store
from detector.run.training_run import TrainingRun
from localize.bundle.calibration import Calibration
from localize.bundle.write_bundle import write_bundle
from localize.network.config import LocalizerConfig, LocalizeTrainConfig
from localize.network.localizer import Localizer, build_localizer
from localize.severity.model import FEATURES, SeverityModel
from localize.training.objective import build_objective
from localize.training.pairs import Pairs, make_pairs
from localize.training.train import LocalizerTraining, train_localizer
from localize.training.training_data import TrainingData

CPU = torch.device("cpu")
KEYWORDS = ("left", "right", "upper", "lower", "focal", "diffuse")
AXES = ("laterality", "laterality", "zone", "zone", "extent", "extent")
NEGATIVES = (1, 0, 3, 2, 5, 4)
WORD_WIDTH = 8
FEATURE_WIDTH = 16
SIDE = 100  # film width and height, px


def make_words(keywords=KEYWORDS, axes=AXES, negatives=NEGATIVES, *, width=WORD_WIDTH, seed=0):
    """Word vectors of unit length in random directions, each far from the others."""
    random = np.random.default_rng(seed)
    directions = np.linalg.qr(random.standard_normal((max(width, len(keywords)), width)))[0]
    return WordVectors(
        keywords=tuple(keywords),
        axes=tuple(axes),
        vectors=np.ascontiguousarray(directions[: len(keywords)], np.float32),
        negatives=np.array(negatives, np.int64),
        policy="fixed",
    )


@dataclass(frozen=True)
class Planted:
    """A store on disk; `planted` (I,) is the region of each film that its report talks about."""

    folder: Path
    manifest: Manifest
    words: WordVectors
    planted: np.ndarray

    @property
    def store(self) -> Path:
        return self.folder / "rois"

    @property
    def attributes(self) -> Path:
        return self.folder / "attributes"

    def pairs(self, split: str, store: RoiStore, **options) -> Pairs:
        settings = {"include_normal": False, **options}
        return make_pairs(self.manifest.split(split), store, self.targets(), **settings)

    def targets(self) -> Targets:
        return read_targets(self.attributes)


def plant_store(
    folder: Path,
    *,
    films: int = 40,
    val: int = 12,
    regions: int = 8,
    seed: int = 0,
    sides_by_geometry: bool = False,
    spoil: tuple[int, ...] = (),
) -> Planted:
    """Films with one region whose feature spells the words of the report; the others are noise.

    Detector scores say nothing about which region that is. Words are one of each axis; the box lies
    on the side of the film that "left" or "right" names. With `sides_by_geometry` the feature does
    not spell the side: only the box tells it. Films in `spoil` get a feature that is not a number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    ids = [f"film-{n:03d}" for n in range(films)]
    options = ProposalOptions(count=regions)
    header = StoreHeader(films, regions, FEATURE_WIDTH, "d" * 64, options)
    create_store(folder / "rois", ids, header)
    states, boxes, planted = [], [], random.integers(0, regions, films)
    with RoiStore(folder / "rois", writable=True) as store:
        for row in range(films):
            choice = random.integers(0, 2, 3)
            present = np.zeros(len(KEYWORDS), bool)
            present[choice + np.array([0, 2, 4])] = True
            states.append(["present" if word else "unmentioned" for word in present])
            best = _noise(random, regions, (0.05, 0.9))
            # The patient's left is the right half of the film.
            x = random.uniform(55, 65) if present[0] else random.uniform(5, 15)
            best.boxes[planted[row]] = torch.tensor([x, 30.0, x + 30, 70.0])
            spelt = present.copy()
            if sides_by_geometry:
                spelt[:2] = False
            best.features[planted[row], : len(KEYWORDS)] += 4 * torch.from_numpy(spelt)
            best.features[planted[row], len(KEYWORDS)] += 4
            boxes.append((ids[row], *best.boxes[planted[row]].tolist()))
            lowest = _noise(random, regions, (0.001, 0.01))
            store.write(row, FilmRois(best, lowest), SIDE, SIDE, (1.0, 1.0))
        for row in spoil:
            features = np.full((regions, FEATURE_WIDTH), np.nan, np.float16)
            store._arrays["features"].write(row, features)  # `write` itself refuses
    manifest = make_manifest(
        pd.DataFrame(
            {
                "image_id": ids,
                "patient_id": [f"patient-{n:03d}" for n in range(films)],
                "study_id": [f"study-{n:03d}" for n in range(films)],
                "path": [f"{name}.png" for name in ids],
                "width": SIDE,
                "height": SIDE,
                "split": ["val" if n < val else "train" for n in range(films)],
            }
        ),
        pd.DataFrame(boxes, columns=["image_id", "x1", "y1", "x2", "y2"]),
    )
    write_manifest(manifest, folder / "manifest")
    words = make_words()
    write_word_vectors(words, folder / "words")
    table = pd.DataFrame(states, columns=list(KEYWORDS))
    table.insert(0, "study_id", manifest.images["study_id"])
    (folder / "attributes").mkdir(exist_ok=True)
    table.to_csv(folder / "attributes" / "attributes.csv", index=False)
    mining = {"axes": dict(zip(KEYWORDS, AXES, strict=True))}
    (folder / "attributes" / "mining.json").write_text(json.dumps(mining))
    return Planted(folder, manifest, words, planted)


def _noise(random: np.random.Generator, regions: int, scores: tuple[float, float]) -> Rois:
    corner = random.uniform(0, 60, (regions, 2))
    side = random.uniform(15, 39, (regions, 2))
    return Rois(
        features=torch.from_numpy(
            0.5 * random.standard_normal((regions, FEATURE_WIDTH)).astype(np.float32)
        ),
        boxes=torch.from_numpy(np.hstack([corner, corner + side]).astype(np.float32)),
        scores=torch.from_numpy(np.sort(random.uniform(*scores, regions))[::-1].astype(np.float32)),
    )


def tiny_localizer(**changes) -> LocalizerConfig:
    settings = {
        "geometry_width": 8,
        "score_width": 4,
        "hidden": 16,
        "dropout": 0.0,
        "alpha": "anchored",
        "sharpness": 1.0,
        "nms_iou": 0.3,
        **changes,
    }
    return LocalizerConfig(**settings)


def fill_film_head(model: Localizer) -> None:
    """Random regressions for every other keyword; draws from torch's generator."""
    answer = model.film_head
    for tensor in (answer.weight, answer.bias, answer.mean):
        tensor.normal_()
    answer.std.fill_(2.0)
    answer.is_fitted[1::2] = True


def tiny_training(**changes) -> LocalizeTrainConfig:
    """All that the tests rest on is said here, so that other defaults do not change them."""
    settings = {
        "epochs": 3,
        "batch_size": 8,
        "lr": 1e-2,
        "weight_decay": 1e-3,
        "detector_weight": 0.0,
        "patience": 10,
        "min_change": 1e-3,
        "checkpoint_every": 2,
        **changes,
    }
    return LocalizeTrainConfig(**settings)


def train_planted(
    planted: Planted,
    out: Path,
    *,
    config: LocalizerConfig | None = None,
    training: LocalizeTrainConfig | None = None,
    words: WordVectors | None = None,
    **change_val,
) -> LocalizerTraining:
    """`train_localizer` on the planted splits; `change_val` replaces fields of the val pairs."""
    with RoiStore(planted.store) as store:
        data = TrainingData(
            store,
            planted.pairs("train", store),
            dataclasses.replace(planted.pairs("val", store), **change_val),
            words or planted.words,
        )
        return train_data(data, out, config=config, training=training)


def train_data(
    data: TrainingData,
    out: Path,
    *,
    config: LocalizerConfig | None = None,
    training: LocalizeTrainConfig | None = None,
) -> LocalizerTraining:
    """Build and train as `train_on_folders`."""
    config, training = config or tiny_localizer(), training or tiny_training()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        model = build_localizer(config, **data.sizes)
    objective = build_objective(config, training, data.words, data.train, CPU)
    described = config.model_dump(mode="json")
    return train_localizer(model, objective, data, out, training=training, description=described)


# Processes of their own, for kills and for process groups. They are forked from a clean server that
# has imported torch once: a plain fork of the test process would inherit its threads.


def start(target, *arguments) -> multiprocessing.process.BaseProcess:
    """Run `target(*arguments)`, a function of this module, in a new process."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.localize.models"])
    process = context.Process(target=target, args=arguments)
    process.start()
    return process


def finish(process: multiprocessing.process.BaseProcess, timeout: float = 120) -> int:
    """Wait for a process; its exit code, negative for a signal."""
    process.join(timeout)
    assert process.exitcode is not None, "the process hangs"
    return process.exitcode


def train_and_die(planted: Planted, out: Path, event: str, count: int, training) -> None:
    """Train, and die of SIGKILL at the `count`-th time of an event.

    Events: `log` (a step or an epoch is written to the metrics), `save` (before a checkpoint),
    `replace` (a file is complete beside its target, but not yet renamed).
    """
    torch.set_num_threads(1)
    calls = 0

    def dies(original):
        def call(*arguments, **options):
            nonlocal calls
            calls += 1
            if calls >= count:
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*arguments, **options)

        return call

    if event == "log":
        TrainingRun.log = dies(TrainingRun.log)
    elif event == "save":
        TrainingRun.save_checkpoint = dies(TrainingRun.save_checkpoint)
    else:
        os.replace = dies(os.replace)
    train_planted(planted, out, config=tiny_localizer(dropout=0.3), training=training)


def train_with_sgd(planted: Planted, out: Path, training) -> None:
    """Train with plain gradient steps: AdamW makes a whole step of a gradient that is rounding."""

    def plain(parameters, lr: float, weight_decay: float) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, lr=lr)

    with mock.patch.object(torch.optim, "AdamW", plain):
        train_planted(planted, out, training=training)


def train_as_rank(rank: int, world: int, port: int, planted: Planted, out: Path, training) -> None:
    """One process of a group, as torchrun starts it."""
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    train_with_sgd(planted, out, training)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run_pneumoloc(arguments: list[str], output: Path) -> None:
    """The command line as the entry point runs it; stdout and stderr go to a file."""
    import pneumoloc

    torch.set_num_threads(1)
    handle = output.open("w")
    os.dup2(handle.fileno(), 1)
    os.dup2(handle.fileno(), 2)
    sys.stdout = sys.stderr = handle
    sys.argv = ["pneumoloc", *arguments]
    try:
        pneumoloc.main()
    finally:
        handle.flush()


# A bundle with random weights, and films for it.

BUNDLE_KEYWORDS = ("left", "right", "mild", "severe")


def write_tiny_runs(folder: Path, *, seed: int = 0) -> None:
    """Folders `detector`, `localizer` and `words` as trainings leave them, with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        config = DetectorConfig(backbone="resnet18", image_size=96, fpn_width=32)
        detector = build_detector(config)
        # Fresh heads answer the same everywhere; these tell regions apart.
        torch.nn.init.normal_(detector.head.classification_head.cls_logits.weight, std=0.3)
        localizer_config = tiny_localizer(alpha="free")
        sizes = {
            "feature_width": 32,
            "word_width": WORD_WIDTH,
            "keywords": len(BUNDLE_KEYWORDS),
        }
        localizer = build_localizer(localizer_config, **sizes)
        localizer.is_place[:2] = True
        fill_film_head(localizer)
    tensors = detector.state_dict()
    for name in ("detector", "localizer"):
        (folder / name).mkdir(parents=True)
    save_file(tensors, folder / "detector" / "detector.safetensors")
    validation = {"ap_25": 0.5, "ap_50": None}
    description = {**config.model_dump(mode="json"), "validation": validation}
    (folder / "detector" / "detector.json").write_text(json.dumps(description))
    save_file(localizer.state_dict(), folder / "localizer" / "localizer.safetensors")
    description = {
        "localizer": localizer_config.model_dump(mode="json"),
        "training": tiny_training().model_dump(mode="json"),
        "sizes": sizes,
        "detector_sha256": weights_sha256(tensors),
        "keywords": list(BUNDLE_KEYWORDS),
        "validation": {"epoch": 3, "loss": 1.25, "match": None, "boxes": None},
    }
    (folder / "localizer" / "localizer.json").write_text(json.dumps(description))
    axes = ("laterality", "laterality", "severity", "severity")
    write_word_vectors(make_words(BUNDLE_KEYWORDS, axes, (1, 0, 3, 2)), folder / "words")


def write_tiny_bundle(folder: Path, *, severity: SeverityModel | None = None) -> Path:
    """Runs and their bundle below `folder`; returns the bundle's folder."""
    write_tiny_runs(folder)
    return write_bundle(
        folder / "bundle",
        detector_run=folder / "detector",
        localizer_run=folder / "localizer",
        words_folder=folder / "words",
        lexicon=LEXICON_FOLDER / "en.yaml",
        calibration=Calibration(box_alpha=0.7, box_film=0.4, films=5, boxes=50),
        severity=severity,
        training_data="nothing",
        model_card="# A model with random weights\n",
    )


def tiny_severity() -> SeverityModel:
    """Severity from the extents and P(pneumonia)."""
    weights = {"root_extent_left_half": 3.0, "root_extent_right_half": 2.0, "p_pneumonia": 1.0}
    return SeverityModel(
        features=FEATURES,
        coefficients=tuple(weights.get(name, 0.0) for name in FEATURES),
        intercept=0.5,
        low=0.0,
        high=8.0,
        residual=0.75,
        films=20,
    )


def write_films(folder: Path, sizes, *, seed: int = 0) -> list[Path]:
    """PNG films of noise with a bright block; `sizes` are (width, height)."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    paths = []
    for number, (width, height) in enumerate(sizes):
        pixels = random.integers(0, 80, (height, width), dtype=np.uint8)
        x, y = random.integers(0, (width // 2, height // 2))
        pixels[y : y + height // 3, x : x + width // 3] += 120
        path = folder / f"film{number}.png"
        Image.fromarray(pixels).save(path)
        paths.append(path)
    return paths


def film_manifest(folder: Path, paths, *, splits=None, boxes=(), labels=None) -> Manifest:
    """A manifest on disk of films that lie in `folder`."""
    images = pd.DataFrame(
        {
            "image_id": [path.stem for path in paths],
            "patient_id": [f"p-{path.stem}" for path in paths],
            "study_id": [f"s-{path.stem}" for path in paths],
            "path": [path.name for path in paths],
            "split": splits or "",
        }
    )
    reports = pd.DataFrame(
        {"study_id": images["study_id"], "section": "findings", "text": "No opacity."}
    )
    manifest = make_manifest(
        images,
        pd.DataFrame(list(boxes), columns=["image_id", "x1", "y1", "x2", "y2"]),
        reports,
        None if labels is None else pd.DataFrame({"image_id": images["image_id"], **labels}),
        info=ManifestInfo(),
        root=folder,
    )
    write_manifest(manifest, folder)
    return manifest
