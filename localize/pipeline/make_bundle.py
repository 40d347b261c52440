"""`make_bundle`: two finished trainings and validation films to a calibrated model bundle."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from jinja2 import Environment, StrictUndefined

from data_manifests.films.other_images import Pixels
from data_manifests.films.read_film import read_film
from data_manifests.support.errors import CheckpointError
from data_manifests.support.temporary import temporary_folder
from data_manifests.tables.manifest import Manifest
from detector.detector import load_detector
from detector.prepare import prepare_film
from localize.bundle.bundle import GUARD, load_bundle, read_json
from localize.bundle.calibration import Calibration
from localize.bundle.film_guard import write_guard
from localize.bundle.fit_calibration import fit_calibration
from localize.bundle.keyword_evidence import KeywordEvidence, keyword_evidence
from localize.bundle.write_bundle import write_bundle
from localize.inference.film_list import manifest_films
from localize.inference.golden import write_golden
from localize.inference.options import PredictOptions
from localize.inference.predict_films import predict_films
from localize.pipeline.calibrate_bundle import validation_regions
from localize.pipeline.fit_film_guard import fit_guard
from localize.pipeline.golden import make_golden
from localize.severity.fit import fit_severity
from localize.severity.model import SeverityModel

MODEL_CARD = """\
# Model card

**Research use only. Not a medical device; do not use it for diagnosis or treatment.**

- Trained by pneumoloc on: {{ training_data }}
- Detector: {{ detector.backbone }}, {{ detector.image_size }} px\
{% if detector.validation.ap_50 is not none %}, \
validation AP@.5 {{ number(detector.validation.ap_50) }}, \
AP@.25 {{ number(detector.validation.ap_25) }}{% endif %}
- Localizer: {{ localizer.localizer.alpha }} region weights, negatives \
{{ localizer.training.negatives }}, kept epoch {{ localizer.validation.epoch }}, \
validation loss {{ number(localizer.validation.loss) }}, \
pair matching {{ number(localizer.validation.match) }} (.5 is chance)
- Calibrated on {{ calibration.films }} films and {{ calibration.boxes }} boxes\
{% if calibration.prevalence %}; P(pneumonia) is stated for films of which a share of \
{{ calibration.prevalence }} shows an opacity{% endif %}
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
    guard_films: Sequence[Manifest] = (),
    half_precision: bool = False,
    several_sources: bool = False,
    child_sources: Collection[str] = (),
    training_data: str,
    card_notes: str = "",
    device: torch.device,
) -> Path:
    """Write a bundle calibrated on the films of `validation` (with boxes).

    `severity_films` have expert scores in `severity_column` of their labels; None leaves severity
    out. `guard_films` have splits: the film guard learns from `train`, its threshold is set on
    `val`; none leaves the guard out. `half_precision` stores the weights as float16. With
    `several_sources` words of side, zone and number come from the boxes (see `fit_calibration`),
    and `bundle.json` states for each keyword what evidence there is for it. Films of
    `child_sources` (column `source` of `images.csv`) are children's; P(pneumonia) is calibrated
    for them apart. `card_notes` (Markdown) end the model card.

    Raises:
        CheckpointError: an unfinished run, a localizer trained on another detector's regions, or
            `out` exists.
        DataError: nothing to calibrate on, or too few scored films.
    """
    if out.exists():  # asked before the long part
        raise CheckpointError(f"{out}: expected no such folder yet; choose another --out")
    trained_on = read_json(localizer_run / "localizer.json").get("detector_sha256")
    if trained_on != load_detector(detector_run).sha256:
        raise CheckpointError(
            f"{localizer_run}: was trained on the regions of another detector than "
            f"{detector_run}; propose regions with this one and train again"
        )
    parts = _Parts(
        detector_run, localizer_run, words, lexicon, training_data, half_precision, card_notes
    )
    with temporary_folder("pneumoloc-bundle") as temporary:
        # Everything is fitted with the weights as they are stored.
        draft = load_bundle(_write(Path(temporary) / "draft", parts, Calibration(), None, None))
        seen = validation_regions(draft, validation, device, child_sources=child_sources)
        calibration = fit_calibration(seen, several_sources=several_sources)
        evidence = None
        if several_sources:
            evidence = keyword_evidence(draft.words.keywords, seen, calibration)
        calibrated = replace(draft, calibration=calibration)
        severity = None
        if severity_films is not None:
            films = manifest_films(severity_films)
            prediction = predict_films(calibrated, films, PredictOptions(), device)
            severity = fit_severity(prediction, severity_films, column=severity_column)
        guard = None
        if guard_films:
            size = draft.detector_config.image_size
            guard = fit_guard(
                _pixels(guard_films, "train", size),
                _pixels(guard_films, "val", size),
                is_child=[
                    source in child_sources
                    for films in guard_films
                    for source in films.split("train").images["source"]
                ],
            )
        golden = make_golden(calibrated, Path(temporary))

    def more(folder: Path) -> None:
        write_golden(golden, folder)
        if guard is not None:
            write_guard(guard, folder / GUARD)

    return _write(out, parts, calibration, severity, more, evidence)


@dataclass(frozen=True)
class _Parts:
    """What a bundle is made of before anything is fitted."""

    detector_run: Path
    localizer_run: Path
    words: Path
    lexicon: Path
    training_data: str
    half_precision: bool
    card_notes: str


def _write(
    out: Path,
    parts: _Parts,
    calibration: Calibration,
    severity: SeverityModel | None,
    more: Callable[[Path], None] | None,
    evidence: Mapping[str, KeywordEvidence] | None = None,
) -> Path:
    return write_bundle(
        out,
        detector_run=parts.detector_run,
        localizer_run=parts.localizer_run,
        words_folder=parts.words,
        lexicon=parts.lexicon,
        calibration=calibration,
        severity=severity,
        training_data=parts.training_data,
        model_card=_card(
            parts.detector_run, parts.localizer_run, calibration, severity, parts.training_data
        )
        + f"\n{parts.card_notes}",
        half_precision=parts.half_precision,
        evidence=evidence,
        more=more,
    )


def _pixels(manifests: Sequence[Manifest], split: str, image_size: int) -> list[Pixels]:
    """The films of a split as the detector sees them."""
    return [
        prepare_film(read_film(path).pixels, image_size).pixels
        for manifest in manifests
        for path in manifest.split(split).film_paths()
    ]


def _card(
    detector_run: Path,
    localizer_run: Path,
    calibration: Calibration,
    severity: SeverityModel | None,
    training_data: str,
) -> str:
    environment = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701 - Markdown
    return environment.from_string(MODEL_CARD).render(
        # A gated detector, or a mean of detectors, was not validated by a training.
        detector={"validation": {"ap_50": None}} | read_json(detector_run / "detector.json"),
        localizer=read_json(localizer_run / "localizer.json"),
        calibration=asdict(calibration),
        severity=None if severity is None else asdict(severity),
        training_data=training_data,
        number=_number,
    )


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
