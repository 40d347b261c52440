"""`write_figures`: the paper's figures from a finished work folder."""

from __future__ import annotations

from pathlib import Path

import torch

from data_manifests.support.errors import ConfigError
from data_manifests.tables.manifest import Manifest
from experiments.core.open_run import COVID, open_input
from experiments.core.phantom_work import phantom_test
from experiments.core.presets import FilmsPreset, PhantomPreset
from experiments.figures.attention_maps import draw_attention
from experiments.figures.examples import draw_examples
from experiments.figures.series import draw_series
from experiments.figures.source import FigureSource
from experiments.methods.method import BASELINE
from experiments.tables.severity_figure import draw_severity, severity_points
from experiments.tables.table2_runs import COHEN, OPEN_TARGETS, PHANTOM_TARGET, expert_points
from localize.prediction.tables import Prediction, read_prediction

COMPARED = ("cam", BASELINE)  # above our own row


def phantom_source(
    work: Path, preset: PhantomPreset, seed: int | None, method: str
) -> FigureSource:
    """Of one seed of a finished `table1 --preset phantom`.

    Raises:
        DataError: a prediction is not there.
    """
    folder = work / f"seed_{preset.seeds[0] if seed is None else seed}"
    test = phantom_test(folder)
    found = _predictions(folder / "methods", test.folder, method)
    points = severity_points(found[method], test.films, PHANTOM_TARGET.column, PHANTOM_TARGET.name)
    return FigureSource(
        truth=test.films,
        predictions=found,
        method=method,
        series=test.films,
        series_prediction=found[method],
        # Films of the phantom come in the order of visits.
        time={image_id: float(k) for k, image_id in enumerate(test.films.images["image_id"])},
        severity=[points],
        bundle=folder / "methods" / method / "bundle",
    )


def open_source(
    data: Path, reports: Path, work: Path, preset: FilmsPreset, method: str
) -> FigureSource:
    """Of a finished `table1` and `table2 --preset open`: COVID films.

    Raises:
        DataError: a prediction is not there.
        ConfigError: the preset has no such method.
    """
    if method not in {spec.name for spec in preset.methods}:
        raise ConfigError(f"--method: expected a method of the preset, got {method!r}")
    given = open_input(data, reports, work)
    test = next(one for one in given.films.tests if one.name == COVID)
    whole = read_prediction(work / method / "covid_all")
    targets = sorted(OPEN_TARGETS, key=lambda target: target is COHEN)  # more films are scored
    return FigureSource(
        truth=test.films,
        predictions=_predictions(work, test.folder, method),
        method=method,
        series=given.covid,
        series_prediction=whole,
        time=_offsets(given.covid),
        severity=expert_points(whole, given.covid, targets),
        bundle=work / method / "bundle",
    )


def write_figures(source: FigureSource, out: Path, device: torch.device) -> list[Path]:
    """Write `localization.png`, `series.png`, `severity.png`, `attention.png`; returns them.

    Without two scored films of a patient there is no series.
    """
    paths = {name: out / f"{name}.png" for name in ("localization", "series", "severity")}
    draw_examples(source, paths["localization"])
    if not draw_series(source, paths["series"]):
        del paths["series"]
    draw_severity(source.severity, paths["severity"])
    attention = out / "attention.png"
    draw_attention(source, attention, device)
    return [*paths.values(), attention]


def _predictions(place: Path, folder: str, method: str) -> dict[str, Prediction]:
    """Predictions of the compared methods that are there, and of our own."""
    found = {
        name: read_prediction(place / name / folder)
        for name in COMPARED
        if (place / name / folder / "prediction.json").exists()
    }
    found[method] = read_prediction(place / method / folder)
    return found


def _offsets(manifest: Manifest) -> dict[str, float]:
    """Days since the first symptom or admission, where they are known."""
    labels = manifest.labels.dropna(subset=["offset_days"])
    return {
        str(image_id): float(days)
        for image_id, days in zip(labels["image_id"], labels["offset_days"], strict=True)
    }
