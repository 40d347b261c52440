"""`read_borders`: the borders of the lungs that `zones.csv` of a prediction holds."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np

from data_manifests.laterality import LungBorders
from data_manifests.support.errors import DataError, Problem
from localize.prediction.table_blocks import typed_parts

ZONES_TABLE = "zones.csv"  # written only where it is asked for; see `write_zones`
BORDER_COLUMNS = tuple(field.name for field in fields(LungBorders))


def read_borders(folder: Path) -> dict[str, LungBorders]:
    """image_id -> borders, for the films with lungs in `zones.csv`; none where there is no file.

    Raises:
        DataError: not a table, a column is missing, or numbers that are no borders.
    """
    path = folder / ZONES_TABLE
    if not path.exists():
        return {}
    (block,) = typed_parts(path, None, ("image_id", *BORDER_COLUMNS), BORDER_COLUMNS)
    if block.problems:
        raise DataError.from_problems(block.problems)
    table = block.table
    known = table[np.isfinite(table[list(BORDER_COLUMNS)]).all(axis=1)]
    found = {}
    for row, image_id, *numbers in known[["image_id", *BORDER_COLUMNS]].itertuples(name=None):
        try:
            found[str(image_id)] = LungBorders(*numbers)
        except ValueError as error:
            problem = Problem(
                file=path.name,
                row=int(row) + 2,
                field=",".join(BORDER_COLUMNS),
                expected="shares of the film in order",
                got=str(error),
                fix="delete the file, or write it anew with predict --zones",
            )
            raise DataError.from_problems([problem]) from error
    return found
