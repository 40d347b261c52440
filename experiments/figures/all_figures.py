"""`write_figures`: the paper's figures from a finished work folder."""

from __future__ import annotations

from pathlib import Path

import torch

from data_manifests.support.errors import ConfigError
from data_manifests.tables.manifest import Manifest
from experiments.core.phantom_seed import phantom_test
from experiments.core.presets import ManifestPreset, PhantomPreset
from experiments.data.open_input import COVID, open_input
from experiments.figures.attention_maps import draw_attention
from experiments.figures.examples import draw_examples
from experiments.figures.series import draw_series
from experiments.figures.source import FigureSource
from experiments.methods.names import BASELINE
from experiments.tables.severity_figure import draw_severity, severity_points
from experiments.tables.table2 import COHEN, TARGETS
from experiments.tables.table2 import COVID as COVID_FILMS
from experiments.tables.table2_runs import expert_points
from localize.prediction.tables import Prediction, read_prediction

COMPARED = ("cam", BASELINE)  # rows above our own


def phantom_source(
    work: Path, preset: PhantomPreset, seed: int | None, method: str
) -> FigureSource:
    """Predictions of one seed of a finished `table1 --preset phantom`.

    Raises:
        DataError: a prediction is not there.
    """
    seed = preset.seeds[0] if seed is None else seed
    folder = work / f"seed_{seed}"
    test = phantom_test(folder)
    found = _predictions(folder / "methods", test.folder, method)
    (target,) = TARGETS[test.name]
    points = severity_points(found[method], test.films, target.column, target.name)
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
    data: Path, reports: Path, work: Path, preset: ManifestPreset, method: str
) -> FigureSource:
    """Predictions of COVID films of a finished `table1` and `table2 --preset open`.

    Raises:
        DataError: a prediction is not there.
        ConfigError: the preset has no such method.
    """
    if method not in {one.name for one in preset.methods}:
        raise ConfigError(f"--method: expected a method of the preset, got {method!r}")
    given = open_input(data, reports, work)
    test = next(one for one in given.films.tests if one.name == COVID)
    whole = read_prediction(work / method / given.all_covid().folder)
    targets = sorted(TARGETS[COVID_FILMS], key=lambda target: target is COHEN)  # fewest films last
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


def _predictions(methods: Path, folder: str, method: str) -> dict[str, Prediction]:
    """Predictions of the compared methods that are there, and of our own."""
    found = {
        name: read_prediction(methods / name / folder)
        for name in COMPARED
        if (methods / name / folder / "prediction.json").exists()
    }
    found[method] = read_prediction(methods / method / folder)
    return found


def _offsets(manifest: Manifest) -> dict[str, float]:
    """Days since the first symptom or admission, where known."""
    labels = manifest.labels.dropna(subset=["offset_days"])
    return {
        str(image_id): float(days)
        for image_id, days in zip(labels["image_id"], labels["offset_days"], strict=True)
    }
