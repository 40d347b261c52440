"""Stages from films and reports to a model bundle; each writes a folder and is skipped when done.

The folders are those of the commands: `detector train`, `attributes mine`, `attributes vectors`,
`detector propose`, `localize train`, `localize adapt`, `bundle make`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from attributes.lexicon.load import LEXICON_FOLDER, load_lexicon
from attributes.mine import mine_reports
from attributes.reports import ReportReader
from attributes.vectors.word_vectors import VectorOptions, train_word_vectors, write_word_vectors
from data_manifests.support.atomic import file_sha256
from data_manifests.support.other_settings import refuse_other_settings
from data_manifests.tables.manifest import Manifest
from detector.boxed_films import BoxedFilms
from detector.config import DetectorConfig, DetectorTrainConfig
from detector.detector import load_detector
from detector.proposals import ProposalOptions
from detector.propose import propose_store
from detector.roi_store import RoiStore
from detector.run.provenance import manifest_sha256
from detector.run.run_state import NO_RESULT
from detector.train_from_config import train_from_config
from localize.adaptation.adapt_detector import Adaptation, AdaptationData, adapt_detector
from localize.bundle.bundle import read_json
from localize.pipeline.cached import cached
from localize.pipeline.make_bundle import make_bundle
from localize.training.from_folders import TrainingFolders, train_on_folders
from localize.training.settings import LocalizerSettings

LEXICON = "en"


@dataclass(frozen=True)
class PairParts:
    """Folders and films that a localizer and its bundle are made from.

    `pairs` are films with reports, splits train and val; `rois` their regions by `detector`,
    `attributes` their mined reports, `words` the word vectors. `validation` are films with boxes
    that calibrate the bundle; `severity` films with expert scores, or None. `training_data` is a
    sentence for the model card.
    """

    detector: Path
    rois: Path
    attributes: Path
    words: Path
    pairs: Manifest
    validation: Manifest
    training_data: str
    severity: Manifest | None = None


def train_detector_stage(
    boxed: Manifest,
    run: Path,
    *,
    config: DetectorConfig,
    training: DetectorTrainConfig,
    backbone_weights: Path | None = None,
    initial: Path | None = None,
    device: torch.device,
) -> Path:
    """A detector trained on the boxes of `boxed` (splits train and val) in the folder `run`.

    Raises:
        ConfigError: `run` was made with other settings, films or initial weights.
        DataError, CheckpointError, Interrupted: see `train_from_config`.
    """
    films = BoxedFilms.of(boxed)
    settings = {
        "detector": config.model_dump(mode="json"),
        "training": training.model_dump(mode="json", exclude=set(NO_RESULT)),
        **films.checksums(),
        "backbone_sha256": backbone_weights and file_sha256(backbone_weights),
        "initial_sha256": initial and load_detector(initial).sha256,
    }

    def build(folder: Path) -> None:
        train_from_config(
            films,
            folder,
            config=config,
            training=training,
            backbone_weights=backbone_weights,
            initial=initial,
            device=device,
        )

    return cached(run, settings, build)


def mine_stage(reports: Path, attributes: Path) -> Path:
    """The mined reports of a manifest or CSV in the folder `attributes`; fast, so never skipped."""
    mine_reports(reports, attributes, lexicon=load_lexicon(LEXICON), workers=1)
    return attributes


def word_vectors_stage(reports: Path, words: Path, options: VectorOptions) -> Path:
    """Word vectors of the reports of a manifest or CSV in the folder `words`.

    Raises:
        ConfigError: `words` was made with other options.
    """

    def build(folder: Path) -> None:
        vectors = train_word_vectors(ReportReader(reports), load_lexicon(LEXICON), options)
        write_word_vectors(vectors, folder)

    return cached(words, asdict(options), build)


def propose_stage(
    detector: Path,
    films: Manifest,
    store: Path,
    *,
    options: ProposalOptions | None = None,
    device: torch.device,
) -> Path:
    """The regions of a trained detector on `films` in the ROI store `store`; done films stay.

    Raises:
        CheckpointError: `store` has regions of other films, another detector or other options.
    """
    propose_store(load_detector(detector), films, store, options=options, device=device)
    return store


def adapt_detector_stage(
    data: AdaptationData, run: Path, *, adaptation: Adaptation, device: torch.device
) -> Path:
    """A detector fine-tuned with pseudo-labels (`adapt_detector`) in the folder `run`.

    Raises:
        ConfigError: `run` was made with another adaptation or another detector.
        DataError, CheckpointError, Interrupted: see `adapt_detector`.
    """
    settings = {
        "source": adaptation.source,
        "training": adaptation.training.model_dump(mode="json", exclude=set(NO_RESULT)),
        "initial_sha256": load_detector(data.detector).sha256,
        "pairs_sha256": manifest_sha256(data.pairs),
    }
    return cached(
        run,
        settings,
        lambda folder: adapt_detector(data, folder, adaptation=adaptation, device=device),
    )


def train_localizer_stage(
    parts: PairParts, run: Path, *, settings: LocalizerSettings, device: torch.device
) -> Path:
    """A localizer trained on film-report pairs in the folder `run`.

    Raises:
        ConfigError: `run` was made with other settings, pairs or another detector.
        DataError, CheckpointError, Interrupted: see `train_on_folders`.
    """
    with RoiStore(parts.rois) as store:
        detector_sha256 = store.header.detector_sha256
    wanted = {
        "localizer": settings.localizer.model_dump(mode="json"),
        "training": settings.training.model_dump(mode="json", exclude=set(NO_RESULT)),
        "detector_sha256": detector_sha256,
        "pairs_sha256": manifest_sha256(parts.pairs),
        "attributes_sha256": file_sha256(parts.attributes / "attributes.csv"),
        "words_sha256": file_sha256(parts.words / "word_vectors.safetensors"),
    }

    def build(folder: Path) -> None:
        folders = TrainingFolders(parts.pairs, parts.rois, parts.attributes, parts.words)
        train_on_folders(folders, folder, settings=settings, device=device)

    return cached(run, wanted, build)


def make_bundle_stage(
    parts: PairParts, localizer: Path, bundle: Path, *, device: torch.device
) -> Path:
    """The calibrated bundle of a detector and a localizer's run in the folder `bundle`.

    Raises:
        ConfigError: `bundle` is that of another localizer.
        CheckpointError, DataError: see `make_bundle`.
    """
    if bundle.exists():  # whole: bundles are built under another name and renamed
        refuse_other_settings(
            bundle, read_json(bundle / "localizer.json"), read_json(localizer / "localizer.json")
        )
        return bundle
    return make_bundle(
        bundle,
        detector_run=parts.detector,
        localizer_run=localizer,
        words=parts.words,
        lexicon=LEXICON_FOLDER / f"{LEXICON}.yaml",
        validation=parts.validation,
        severity_films=parts.severity,
        severity_column="severity",
        training_data=parts.training_data,
        device=device,
    )


def train_bundle_stage(
    parts: PairParts, folder: Path, *, settings: LocalizerSettings, device: torch.device
) -> Path:
    """The bundle `folder/bundle` of a localizer trained in `folder/localizer`.

    Raises:
        ConfigError: `folder` was made with other settings.
    """
    run = train_localizer_stage(parts, folder / "localizer", settings=settings, device=device)
    return make_bundle_stage(parts, run, folder / "bundle", device=device)
