"""`Corrections`: the boxes that a person has drawn or accepted, kept in a COCO file."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_manifests.boxes import Boxes
from localize.formats.export import export
from localize.formats.hub.annotations import FilmAnnotation, annotations_of_films
from localize.formats.hub.format_options import FormatOptions
from localize.formats.tools.coco import read_coco, write_coco
from localize.viewing.gallery.cards import Corners
from localize.viewing.viewer.shelf import ShelvedFilm

COCO_FILE = "corrections.coco.json"
# Formats of one file that need no film; the others are made by `import-boxes`, then `export`.
DOWNLOADS = {"coco": "json", "label-studio": "json", "cvat": "xml"}
MAX_BOXES = 500
MAX_LABEL = 100


@dataclass(frozen=True)
class DrawnBox:
    """A box as the page sends it, in film pixels."""

    xyxy: Corners
    label: str


class Corrections:
    """Reviewed films with their boxes; every change is on the disk when `save` returns."""

    def __init__(self, folder: Path, annotator: str) -> None:
        self.folder = folder
        self._annotator = annotator
        self._lock = threading.Lock()
        path = folder / COCO_FILE
        earlier = read_coco(path) if path.is_file() else []
        self._films = {film.name: film for film in earlier}

    def __len__(self) -> int:
        return len(self._films)

    def of(self, film: ShelvedFilm) -> list[DrawnBox] | None:
        """The boxes of a reviewed film, None where it is not reviewed yet."""
        found = self._films.get(film.name)
        if found is None:
            return None
        return [
            DrawnBox((x1, y1, x2, y2), label)
            for (x1, y1, x2, y2), label in zip(found.xyxy.tolist(), found.labels, strict=True)
        ]

    def save(self, film: ShelvedFilm, boxes: Sequence[DrawnBox]) -> Path:
        """Replace the boxes of a film and write the file; returns its path.

        Raises:
            ValueError: a box outside the film, too many boxes, or a label that is none.
        """
        if len(boxes) > MAX_BOXES:
            raise ValueError(f"expected at most {MAX_BOXES} boxes, got {len(boxes)}")
        for box in boxes:
            if not (box.label.isprintable() and 0 < len(box.label) <= MAX_LABEL):
                raise ValueError(f"expected a label of 1 to {MAX_LABEL} letters, got another")
        corners = np.array([box.xyxy for box in boxes], dtype=np.float64).reshape(-1, 4)
        checked = Boxes(corners, film.card.width, film.card.height)
        annotation = FilmAnnotation(
            name=film.name,
            width=checked.width,
            height=checked.height,
            xyxy=checked.xyxy,
            labels=tuple(box.label for box in boxes),
            scores=np.full(len(boxes), np.nan),  # a person's box has no score
            keywords=((),) * len(boxes),
            image_id=film.card.id,
            annotators=(self._annotator,) * len(boxes),
        )
        with self._lock:
            films = {**self._films, film.name: annotation}
            path = self.folder / COCO_FILE
            write_coco(annotations_of_films(films.values()), path, FormatOptions())
            self._films = films
        return path

    def export(self, format_name: str) -> Path:
        """Write all reviewed films in a format of `DOWNLOADS`; returns the file.

        Raises:
            ValueError: another format, or nothing reviewed yet.
        """
        if format_name not in DOWNLOADS:
            raise ValueError(f"expected one of {', '.join(DOWNLOADS)}, got another format")
        with self._lock:
            if not self._films:
                raise ValueError("expected at least one saved film, got none")
            target = self.folder / f"corrections.{format_name}.{DOWNLOADS[format_name]}"
            export(
                annotations_of_films(self._films.values()), format_name, target, has_sidecar=False
            )
        return target
