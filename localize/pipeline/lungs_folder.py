"""`write_lungs`: label pictures of many films and one table of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from data_manifests.films.read_film import Film, check_sha256, read_film
from data_manifests.support.atomic import atomic_path
from data_manifests.support.csv_file import write_csv
from data_manifests.support.errors import DataError
from data_manifests.support.progress_bar import progress_bar
from detector.lungs.lung_fields import LEFT_LUNG, RIGHT_LUNG, LungFields
from detector.lungs.lung_shares import cardiothoracic_ratio
from detector.lungs.overlay import overlay
from detector.lungs.segment import LungSegmenter
from localize.formats.hub.film_names import SafeNames
from localize.inference.film_list import FilmToPredict

logger = logging.getLogger(__name__)
TABLE = "lungs.csv"
OVERLAYS = "overlays"
DIGITS = 4


@dataclass(frozen=True)
class LungRow:
    """One film of `lungs.csv`.

    `status` is `ok` or `skipped` (with its `error`); `found` is both, right, left or none, and
    `why` says why a lung is missing. Areas are shares of the film, scores mean probabilities. None
    is not known.
    """

    image_id: str
    path: str
    status: str
    labels: str = ""
    width: int | None = None
    height: int | None = None
    found: str = ""
    why: str = ""
    right_area: float | None = None
    left_area: float | None = None
    right_score: float | None = None
    left_score: float | None = None
    heart_score: float | None = None
    cardiothoracic_ratio: float | None = None
    error: str = ""


@dataclass(frozen=True)
class LungReport:
    """Films written and skipped, and how many of the written ones have both lungs."""

    written: int
    skipped: int
    complete: int


def write_lungs(
    segmenter: LungSegmenter,
    films: Sequence[FilmToPredict],
    out: Path,
    *,
    skip_errors: bool = False,
    overlays: bool = False,
    report_skipped: Callable[[str], None] = logger.warning,
) -> LungReport:
    """Write `NAME.png` for each film (0, 1 right lung, 2 left lung, 3 heart) and `lungs.csv`.

    Args:
        segmenter: the network.
        films: their ids name the pictures; ids that are no safe names get a hash.
        out: the folder; pictures of an earlier run are replaced.
        skip_errors: unreadable films are listed in the table instead of ending the run.
        overlays: also write `overlays/NAME.jpg`, to look at.
        report_skipped: called with a message for each film that is skipped.

    Raises:
        DataError: a film cannot be read and `skip_errors` is false, or none can be read.
    """
    names = SafeNames([f"{film.image_id}.png" for film in films])
    (out / TABLE).unlink(missing_ok=True)  # of an earlier run: it may name other films
    rows = []
    for listed in progress_bar(films, desc="lungs", unit="film"):
        try:
            film = read_film(listed.file)
            check_sha256(listed.file, listed.sha256)
        except DataError as error:
            if not skip_errors:
                raise
            report_skipped(f"skipped {listed.image_id}: {error}")
            rows.append(LungRow(listed.image_id, listed.path, "skipped", error=str(error)))
            continue
        fields = segmenter.fields(film.pixels)
        name = names.of(f"{listed.image_id}.png")
        _write_picture(out / f"{name}.png", Image.fromarray(fields.labels))
        if overlays:
            drawn = Image.fromarray(overlay(film.pixels, fields))
            _write_picture(out / OVERLAYS / f"{name}.jpg", drawn)
        rows.append(_row(listed, f"{name}.png", film, fields))
    table = pd.DataFrame([asdict(row) for row in rows])
    written = table[table["status"] == "ok"]
    if written.empty:
        raise DataError(f"none of {len(films)} films can be read; the first: {rows[0].error}")
    write_csv(out / TABLE, table)
    complete = int((written["found"] == "both").sum())
    return LungReport(len(written), len(table) - len(written), complete)


def lungs_found(fields: LungFields) -> str:
    """`both`, `right`, `left` or `none`."""
    if fields.is_complete:
        return "both"
    if not fields.is_found:
        return "none"
    return "left" if fields.right_score is None else "right"


def _write_picture(path: Path, picture: Image.Image) -> None:
    with atomic_path(path) as aside:
        picture.save(aside)


def _row(listed: FilmToPredict, labels: str, film: Film, fields: LungFields) -> LungRow:
    areas = {part: float((fields.labels == part).mean()) for part in (RIGHT_LUNG, LEFT_LUNG)}
    return LungRow(
        image_id=listed.image_id,
        path=listed.path,
        status="ok",
        labels=labels,
        width=film.width,
        height=film.height,
        found=lungs_found(fields),
        why=fields.reason,
        right_area=_rounded(areas[RIGHT_LUNG] or None),
        left_area=_rounded(areas[LEFT_LUNG] or None),
        right_score=_rounded(fields.right_score),
        left_score=_rounded(fields.left_score),
        heart_score=_rounded(fields.heart_score),
        cardiothoracic_ratio=_rounded(cardiothoracic_ratio(fields)),
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(np.round(value, DIGITS))
