"""`make_bundle`: two finished trainings and validation films to a calibrated model bundle."""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path

import torch
from jinja2 import Environment, StrictUndefined

from data_manifests.errors import CheckpointError
from data_manifests.manifest import Manifest
from detector.model import load_detector
from localize.bundle import Bundle, load_bundle, read_json, write_bundle
from localize.calibrate import calibrate_bundle
from localize.calibration import Calibration
from localize.predict import PredictOptions, manifest_films, predict_films
from localize.severity import fit_severity
from localize.severity_model import SeverityModel

MODEL_CARD = """\
# Model card

**Research use only. Not a medical device; do not use it for diagnosis or treatment.**

- Trained by pneumoloc on: {{ training_data }}
- Detector: {{ detector.backbone }}, {{ detector.image_size }} px, \
validation AP@.5 {{ number(detector.validation.ap_50) }}, \
AP@.25 {{ number(detector.validation.ap_25) }}
- Localizer: {{ localizer.localizer.alpha }} region weights, negatives \
{{ localizer.training.negatives }}, kept epoch {{ localizer.validation.epoch }}, \
validation loss {{ number(localizer.validation.loss) }}, \
pair matching {{ number(localizer.validation.match) }} (.5 is chance)
- Calibrated on {{ calibration.films }} films and {{ calibration.boxes }} boxes
- Severity: \
{% if severity %}ridge on {{ severity.films }} scored films, range {{ severity.low }} to \
{{ severity.high }}, half width of the 90 % interval {{ number(severity.residual) }}\
{% else %}none fitted{% endif %}

Text was used in training only. Boxes mark opacity, whatever its cause. Films of other hospitals,
projections, ages or devices than those above are outside what was measured here.
"""


def make_bundle(
    out: Path,
    *,
    detector_run: Path,
    localizer_run: Path,
    words: Path,
    lexicon: Path,
    validation: Manifest,
    severity_films: Manifest | None,
    severity_column: str,
    training_data: str,
    device: torch.device,
) -> Path:
    """Write a bundle calibrated on the films of `validation` (with boxes).

    `severity_films` have expert scores in `severity_column` of their labels; None leaves severity
    out.

    Raises:
        CheckpointError: an unfinished run, a localizer trained on another detector's regions, or
            `out` exists.
        DataError: nothing to calibrate on, or too few scored films.
    """
    if out.exists():  # asked before the long part
        raise CheckpointError(f"{out}: expected no such folder yet; choose another --out")
    trained_on = read_json(localizer_run / "localizer.json").get("detector_sha256")
    if trained_on != load_detector(detector_run)[2]:
        raise CheckpointError(
            f"{localizer_run}: was trained on the regions of another detector than "
            f"{detector_run}; propose regions with this one and train again"
        )
    with tempfile.TemporaryDirectory() as temporary:
        draft = _write(
            Path(temporary) / "draft",
            detector_run,
            localizer_run,
            words,
            lexicon,
            Calibration(),
            None,
            training_data,
        )
        bundle = load_bundle(draft)
        calibration = calibrate_bundle(bundle, validation, device)
        severity = None
        if severity_films is not None:
            calibrated = Bundle(**{**vars(bundle), "calibration": calibration})
            films = manifest_films(severity_films)
            prediction = predict_films(calibrated, films, PredictOptions(), device)
            severity = fit_severity(prediction, severity_films, column=severity_column)
    return _write(
        out, detector_run, localizer_run, words, lexicon, calibration, severity, training_data
    )


def _write(
    out: Path,
    detector_run: Path,
    localizer_run: Path,
    words: Path,
    lexicon: Path,
    calibration: Calibration,
    severity: SeverityModel | None,
    training_data: str,
) -> Path:
    return write_bundle(
        out,
        detector_run=detector_run,
        localizer_run=localizer_run,
        words_folder=words,
        lexicon=lexicon,
        calibration=calibration,
        severity=severity,
        training_data=training_data,
        model_card=_card(detector_run, localizer_run, calibration, severity, training_data),
    )


def _card(
    detector_run: Path,
    localizer_run: Path,
    calibration: Calibration,
    severity: SeverityModel | None,
    training_data: str,
) -> str:
    environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 - Markdown
    return environment.from_string(MODEL_CARD).render(
        detector=read_json(detector_run / "detector.json"),
        localizer=read_json(localizer_run / "localizer.json"),
        calibration=asdict(calibration),
        severity=None if severity is None else asdict(severity),
        training_data=training_data,
        number=_number,
    )


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
