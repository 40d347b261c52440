"""`film_words`: what mined reports say of films: whether there is an opacity, where, and how."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from attributes.targets.training_targets import Targets, read_studies_with_finding, read_targets
from data_manifests.laterality import SIDES, LungSide
from data_manifests.tables.manifest import Manifest


@dataclass(frozen=True)
class FilmWords:
    """What a report says of its film: whether there is an opacity (None: left open), on which
    sides, and which keywords are `said` and `known` (hedged ones are not), (K,) bool each."""

    has_opacity: bool | None
    sides: tuple[LungSide, ...]
    said: NDArray[np.bool_]
    known: NDArray[np.bool_]


@dataclass(frozen=True)
class WordsOfFilms:
    """One `FilmWords` a film, and the names of the K keywords."""

    keywords: tuple[str, ...]
    films: list[FilmWords]


def film_words(films: Manifest, mined: Path) -> WordsOfFilms:
    """What the mined reports (`attributes mine`) say of each film, in the order of the manifest.

    Raises:
        DataError: tables missing or damaged.
    """
    # What a report leaves out is a no here: on phantoms a mask chooses no better boxes.
    targets = read_targets(mined, policy="closed-world")
    stated = read_studies_with_finding(mined)
    hedged = read_studies_with_finding(mined, assertions=("uncertain",))
    found = [
        _words(targets, targets.row_of.get(study), study in stated, study in hedged)
        for study in films.images["study_id"]
    ]
    return WordsOfFilms(targets.keywords, found)


def _words(targets: Targets, row: int | None, is_stated: bool, is_hedged: bool) -> FilmWords:
    none = np.zeros(len(targets.keywords), bool)
    if row is None or (is_hedged and not is_stated):
        return FilmWords(None, (), none, none)
    if not is_stated:
        return FilmWords(False, (), none, none)
    known = np.asarray(targets.mask[row] > 0, bool)
    said = np.asarray(targets.targets[row] > 0.5, bool) & known
    names = {name for name, is_said in zip(targets.keywords, said, strict=True) if is_said}
    sides = SIDES if "bilateral" in names else tuple(side for side in SIDES if side in names)
    return FilmWords(True, sides, said, known)
