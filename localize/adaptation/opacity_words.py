"""`OpacityWords`: what each opacity of a report is said to be: its side, and its words of place.

A report of "focal right upper opacity; further left basal infiltrate" names two opacities. Words of
place and side belong to one opacity, all others (mild, hazy, multifocal) to the film.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_manifests.laterality import LungSide
from data_manifests.support.arrays import Bools
from data_manifests.tables.manifest import Manifest
from localize.adaptation.report_words import ReportWords, read_report_words

PLACE_WORDS = frozenset(
    ("upper", "middle", "lower", "basal", "apical", "lingular", "perihilar", "retrocardiac")
)
SIDE_WORDS = frozenset(("left", "right", "bilateral"))
LEFT_ONLY = frozenset(("lingular", "retrocardiac"))  # places of the left lung, without a side said


@dataclass(frozen=True)
class OpacityWords:
    """One opacity: the patient's `side`, None if not said, and its keywords (K,) bool."""

    side: LungSide | None
    words: Bools


@dataclass(frozen=True)
class FilmWords:
    """`has_opacity` of a film as its report states it, None if not known, and its opacities."""

    has_opacity: bool | None
    opacities: tuple[OpacityWords, ...]


def read_film_words(films: Manifest, mined: Path, likes: Collection[str]) -> list[FilmWords]:
    """The opacities that the reports of films name, in the order of the manifest.

    `mined` is a folder of `attributes mine`; `likes` names the pneumonia-like findings.

    Raises:
        DataError: tables missing or damaged.
    """
    table = read_report_words(films, mined)
    mentions = _read_mentions(mined, likes)
    studies = films.images["study_id"]
    return [
        film_words(report, mentions.get(study, []), table.keywords)
        for study, report in zip(studies, table.reports, strict=True)
    ]


def film_words(
    report: ReportWords, mentions: Sequence[frozenset[str]], keywords: Sequence[str]
) -> FilmWords:
    """The opacities of a report whose findings were mentioned with these words."""
    if not report.has_opacity:
        return FilmWords(report.has_opacity, ())
    said = {name for name, present in zip(keywords, report.is_present, strict=True) if present}
    of_film = frozenset(said) - PLACE_WORDS - SIDE_WORDS
    found: list[tuple[LungSide | None, frozenset[str]]] = []
    for words in dict.fromkeys(mentions):
        sides = _sides(words) or (("left",) if words & LEFT_ONLY else ())
        found += [(side, words & PLACE_WORDS) for side in sides]
    found += [(side, frozenset()) for side in report.sides if side not in {one for one, _ in found}]
    # "Right lung opacities, possibly in the right upper lung": the first says no more.
    placed = {side for side, place in found if place}
    kept = [one for one in dict.fromkeys(found) if one[1] or one[0] not in placed]
    everything = frozenset(said) & (PLACE_WORDS | of_film)
    parts = [(side, place | of_film) for side, place in kept] or [(None, everything)]
    return FilmWords(
        True,
        tuple(
            OpacityWords(side, np.array([name in words for name in keywords], bool))
            for side, words in parts
        ),
    )


def _sides(words: frozenset[str]) -> tuple[LungSide, ...]:
    if "bilateral" in words or {"left", "right"} <= words:
        return ("left", "right")
    return tuple(side for side in ("left", "right") if side in words)


def _read_mentions(mined: Path, likes: Collection[str]) -> dict[str, list[frozenset[str]]]:
    """The words of each stated or hedged mention of an opacity, by study."""
    found: dict[str, list[frozenset[str]]] = {}
    with (mined / "findings.csv").open(encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle):
            if row["finding"] in likes and row["assertion"] in ("present", "uncertain"):
                words = frozenset(row["attributes"].split(";")) - {""}
                found.setdefault(row["study_id"], []).append(words)
    return found
