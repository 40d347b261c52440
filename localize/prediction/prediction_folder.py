"""`PredictionFolder`: a finished prediction that is read a few films at a time."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localize.prediction.film_parts import (
    NotInFilmOrder,
    Survey,
    film_parts,
    first_rows,
    sort_tables,
    survey,
)
from localize.prediction.lung_borders import read_borders
from localize.prediction.tables import Prediction, read_info

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PredictionFolder:
    """A checked prediction on disk; memory does not grow with the number of its films.

    Use `open_prediction`. It has the methods of a `Prediction` but for the tables, which `parts`
    gives.

    Args:
        folder: where the tables are, in film order.
        empty: the prediction without rows: its description, columns and lung borders.
        rows: number of films, skipped ones included, and of boxes.
        sorted_copy: the folder of tables that had to be sorted; deleted with this object.
    """

    folder: Path
    empty: Prediction
    rows: Survey
    sorted_copy: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)

    @property
    def info(self) -> Mapping[str, Any]:  # Any: whatever JSON holds
        """The content of `prediction.json`."""
        return self.empty.info

    def parts(self) -> Iterator[Prediction]:
        """All films in order, some thousands at a time, with all their rows."""
        for part in film_parts(self.folder):
            yield Prediction(
                part.images, part.boxes, part.attributes, self.info, self.empty.borders
            )

    def count_boxes(self) -> int:
        """The number of boxes."""
        return self.rows.boxes

    def keywords(self) -> tuple[str, ...]:
        """The attribute names, in the order of the lexicon."""
        return self.empty.keywords()

    def shown_keywords(self) -> tuple[str, ...]:
        """Those that the model was shown to predict on real films; pages show no others."""
        return self.empty.shown_keywords()

    def prevalence(self) -> float | None:
        """See `Prediction.prevalence`."""
        return self.empty.prevalence()

    def operating_point(self) -> float | None:
        """See `Prediction.operating_point`."""
        return self.empty.operating_point()


PredictedFilms = Prediction | PredictionFolder


def open_prediction(folder: Path) -> PredictionFolder:
    """Check a prediction folder, to be read a few films at a time.

    Tables whose rows are not in film order are sorted on disk, in the system's temporary folder.

    Raises:
        DataError: see `read_prediction`.
    """
    folder = Path(folder)
    info = read_info(folder)
    first = first_rows(folder)
    empty = Prediction(
        first.images.iloc[:0],
        first.boxes.iloc[:0],
        first.attributes.iloc[:0],
        info,
        read_borders(folder),
    )
    try:
        return PredictionFolder(folder, empty, survey(folder))
    except NotInFilmOrder:
        logger.info("%s: boxes or attributes are not in the order of the films; sorting", folder)
    copy = tempfile.TemporaryDirectory(prefix="pneumoloc-sorted-")
    sort_tables(folder, Path(copy.name))
    return PredictionFolder(Path(copy.name), empty, survey(Path(copy.name)), copy)
