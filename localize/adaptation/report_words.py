"""`read_report_words`: each film's mined report as keywords: opacity or none, sides, attributes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from attributes.targets.training_targets import Targets, read_studies_with_finding, read_targets
from data_manifests.laterality import SIDES, LungSide
from data_manifests.support.arrays import Bools
from data_manifests.support.errors import DataError, Problem
from data_manifests.tables.manifest import Manifest


@dataclass(frozen=True)
class ReportWords:
    """One report. `has_opacity` is None without a report, or where it only hedges; `sides` are the
    patient's sides that it names; `is_present` and `is_known` (K,) bool are its keywords."""

    has_opacity: bool | None
    sides: tuple[LungSide, ...]
    is_present: Bools
    is_known: Bools


@dataclass(frozen=True)
class ReportTable:
    """The reports of films in the order of their manifest, and the names of the K keywords."""

    keywords: tuple[str, ...]
    reports: tuple[ReportWords, ...]


def read_report_words(films: Manifest, mined: Path) -> ReportTable:
    """Read the reports of `films` from a folder of `pneumoloc attributes mine`.

    Raises:
        DataError: tables missing or damaged.
    """
    # Unmentioned keywords count as absent: on phantoms, masking them chose no better boxes.
    targets = read_targets(mined, policy="closed-world")
    stated = read_studies_with_finding(mined)
    hedged = read_studies_with_finding(mined, assertions=("uncertain",))
    reports = tuple(
        _report_words(targets, targets.row_of.get(study), study in stated, study in hedged)
        for study in films.images["study_id"]
    )
    return ReportTable(targets.keywords, reports)


def stated_share(films: Manifest, mined: Path) -> float:
    """The share of films whose report states an opacity, of those with a report that is no hedge.

    Raises:
        DataError: tables missing or damaged, or no such report.
    """
    reports = read_report_words(films, mined).reports
    known = [one.has_opacity for one in reports if one.has_opacity is not None]
    if not known:
        raise DataError.from_problems(
            [
                Problem(
                    file=str(mined),
                    expected="reports that state or deny an opacity",
                    got=f"none for {len(films.images)} films",
                    fix="check that study_id agrees between images.csv and the mined reports",
                )
            ]
        )
    return float(np.mean(known))


def _report_words(
    targets: Targets, row: int | None, is_stated: bool, is_hedged: bool
) -> ReportWords:
    none = np.zeros(len(targets.keywords), bool)
    is_unread = row is not None and targets.is_read is not None and not targets.is_read[row]
    if row is None or is_unread or (is_hedged and not is_stated):
        return ReportWords(None, (), none, none)
    if not is_stated:
        return ReportWords(False, (), none, none)
    is_known = np.asarray(targets.mask[row] > 0, bool)
    is_present = np.asarray(targets.targets[row] > 0.5, bool) & is_known
    names = {name for name, present in zip(targets.keywords, is_present, strict=True) if present}
    sides = SIDES if "bilateral" in names else tuple(side for side in SIDES if side in names)
    return ReportWords(True, sides, is_present, is_known)
