"""`dice_rows`: lung fields against the masks of held-out patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_manifests.support.arrays import Bools, Floats, Ints
from detector.lungs.lung_fields import HEART, LEFT_LUNG, PARTS, RIGHT_LUNG, LungFields
from detector.lungs.segment import LungSegmenter
from experiments.data.lung_films import LungFilm
from localize.evaluation.bootstrap import Estimate, bootstrap_values, estimates
from localize.evaluation.measure import ratio_measure

REPLICATES = 1000


@dataclass(frozen=True)
class DiceRow:
    """The films of one source.

    `dice` has the mean over films for the right lung, the left lung and the heart, over the pixels
    that the source knows; None where it knows none. `swapped` counts films on which a lung lies
    more on the other lung's mask than on its own; `incomplete` those on which a lung is not found.
    """

    group: str
    films: int
    patients: int
    dice_right: Estimate
    dice_left: Estimate
    dice_heart: Estimate
    swapped: int
    incomplete: int


def dice_rows(segmenter: LungSegmenter, films: Sequence[LungFilm], *, seed: int) -> list[DiceRow]:
    """A row for each source; intervals resample patients."""
    rows = []
    for group in sorted({film.group for film in films}):
        chosen = [film for film in films if film.group == group]
        found = [segmenter.fields(film.pixels) for film in chosen]
        table = np.array(
            [
                [dice_of(fields, film, part) for part in PARTS]
                for film, fields in zip(chosen, found, strict=True)
            ]
        )
        names = [film.patient_id for film in chosen]
        right, left, heart = mean_estimates(
            table, np.unique(names, return_inverse=True)[1], seed=seed
        )
        swapped = sum(is_swapped(fields, film) for film, fields in zip(chosen, found, strict=True))
        incomplete = sum(not fields.is_complete for fields in found)
        rows.append(
            DiceRow(group, len(chosen), len(set(names)), right, left, heart, swapped, incomplete)
        )
    return rows


def mean_estimates(table: Floats, patients: Ints, *, seed: int) -> list[Estimate]:
    """Mean of each column of (I, M) over the films where it is known, with its interval."""
    known = np.isfinite(table)
    measure = ratio_measure(
        tuple(map(str, range(table.shape[1]))), np.where(known, table, 0.0), known.astype(float)
    )
    values = bootstrap_values(
        [measure], patients, replicates=REPLICATES, seed=seed, largest=len(table)
    )
    return estimates(values)


def dice_of(fields: LungFields, film: LungFilm, part: int) -> float:
    """Dice of one part over the pixels where its mask is known; NaN where it is not.

    The heart counts beside the lungs only: labels cannot hold both.
    """
    known, truth = film.known[part - 1], film.masks[part - 1]
    if part == HEART:
        lungs = film.masks[RIGHT_LUNG - 1] | film.masks[LEFT_LUNG - 1]
        known = known & ~lungs & ~np.isin(fields.labels, (RIGHT_LUNG, LEFT_LUNG))
    return dice(fields.labels == part, truth, known)


def dice(found: Bools, truth: Bools, known: Bools) -> float:
    """Dice over the known pixels; NaN where the truth is empty there."""
    found, truth = found & known, truth & known
    if not truth.any():
        return float("nan")
    return float(2 * (found & truth).sum() / (found.sum() + truth.sum()))


def is_swapped(fields: LungFields, film: LungFilm) -> bool:
    """Whether a found lung lies more on the other lung's mask than on its own."""
    right, left = film.masks[RIGHT_LUNG - 1], film.masks[LEFT_LUNG - 1]
    found_right, found_left = fields.labels == RIGHT_LUNG, fields.labels == LEFT_LUNG
    return bool(
        (found_right & left).sum() > (found_right & right).sum()
        or (found_left & right).sum() > (found_left & left).sum()
    )
