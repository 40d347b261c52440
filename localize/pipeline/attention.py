"""`attention_bundle`: film-report pairs to a trained localizer and its calibrated bundle."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError

from attributes.lexicon.load import LEXICON_FOLDER
from data_manifests.support.errors import ConfigError
from data_manifests.support.other_settings import refuse_other_settings
from data_manifests.tables.manifest import Manifest
from detector.detector import load_detector
from detector.proposals import ProposalOptions
from detector.propose import propose_store
from localize.bundle.bundle import read_json
from localize.network.config import LocalizerConfig
from localize.pipeline.make_bundle import make_bundle
from localize.training.from_folders import train_on_folders
from localize.training.settings import LocalizerSettings


@dataclass(frozen=True)
class PairParts:
    """What attention is trained from: folders of the steps before, and films.

    `pairs` has films with reports, splits train and val; `validation` films with boxes calibrate
    the bundle. Bundles of experiments have no severity: table 2 fits it out of fold.
    """

    detector: Path
    rois: Path
    attributes: Path
    words: Path
    pairs: Manifest
    validation: Manifest
    training_data: str


def attention_bundle(
    parts: PairParts, settings: LocalizerSettings, place: Path, device: torch.device
) -> Path:
    """The folder `place/bundle`, trained into `place/localizer` where it is not there yet.

    Raises:
        ConfigError: `place` was made with other settings.
        DataError: no pairs.
    """
    bundle, run = place / "bundle", place / "localizer"
    if bundle.exists():
        check_settings(bundle, settings)
        return bundle
    train_on_folders(
        parts.pairs,
        parts.rois,
        parts.attributes,
        parts.words,
        run,
        settings=settings,
        device=device,
    )
    return make_bundle(
        bundle,
        detector_run=parts.detector,
        localizer_run=run,
        words=parts.words,
        lexicon=LEXICON_FOLDER / "en.yaml",
        validation=parts.validation,
        severity_films=None,
        severity_column="severity",
        training_data=parts.training_data,
        device=device,
    )


def check_settings(bundle: Path, settings: LocalizerSettings) -> None:
    """Refuse a finished bundle that was trained with other settings than asked for now.

    Raises:
        ConfigError: names the settings that differ.
    """
    stored = read_json(bundle / "localizer.json")
    try:
        made = LocalizerSettings.model_validate(
            {
                "localizer": LocalizerConfig.stored(stored.get("localizer")),
                "training": stored.get("training"),
            }
        )
    except ValidationError as error:
        raise ConfigError(f"{bundle}: expected readable settings; delete its folder") from error
    then, now = (
        {f"{part}.{name}": value for part, values in one for name, value in values}
        for one in (made, settings)
    )
    refuse_other_settings(bundle.parent, then, now)


def propose_films(
    detector: Path,
    films: Manifest,
    out: Path,
    device: torch.device,
    options: ProposalOptions | None = None,
) -> Path:
    """The ROI store `out` of a trained detector's regions on `films`; finished films are kept."""
    propose_store(load_detector(detector), films, out, options=options, device=device)
    return out
