"""`ImportedFilm`: a film with its boxes as an annotation file states them, before any check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from data_manifests.boxes import Boxes, valid_boxes
from data_manifests.support.arrays import Floats
from localize.formats.hub.annotations import FilmAnnotation

# Tools round: a corner this far outside is set onto the edge, anything further is an error.
EDGE_TOLERANCE_PX = 1.0
Corners = tuple[float, float, float, float]
# Width and height of the film of a name, for formats that state boxes as shares of the film.
SizeOf = Callable[[str], tuple[int, int]]


@dataclass(frozen=True)
class ImportedBox:
    """A box in film pixels; `score` is NaN and `annotator` and `sentence` "" where the file
    states none."""

    xyxy: Corners
    label: str
    score: float = float("nan")
    keywords: tuple[str, ...] = ()
    annotator: str = ""
    sentence: str = ""


@dataclass(frozen=True)
class ImportedFilm:
    """A film of an annotation file.

    Args:
        name: what the tool calls the film.
        boxes: in film pixels; they may lie outside, or be flipped or empty.
        size: width and height that the file states, None where it states none.
        annotator: who annotated the film, "" if the file does not say.
        image_id: the id that our own export wrote, "" where there is none.
        p_pneumonia: the film's probability, None where the file has none.
        severity: the film's severity, None where the file has none.
    """

    name: str
    boxes: tuple[ImportedBox, ...]
    size: tuple[int, int] | None = None
    annotator: str = ""
    image_id: str = ""
    p_pneumonia: float | None = None
    severity: float | None = None

    def __len__(self) -> int:
        return len(self.boxes)

    @property
    def xyxy(self) -> Floats:
        """(N, 4) corners in film pixels."""
        return np.array([box.xyxy for box in self.boxes], dtype=np.float64).reshape(-1, 4)

    @property
    def scores(self) -> Floats:
        """(N,) scores, NaN where there is none."""
        return np.array([box.score for box in self.boxes], dtype=np.float64)

    @property
    def labels(self) -> tuple[str, ...]:
        """N labels."""
        return tuple(box.label for box in self.boxes)

    @property
    def keywords(self) -> tuple[tuple[str, ...], ...]:
        """The attribute words of each box."""
        return tuple(box.keywords for box in self.boxes)

    @property
    def annotators(self) -> tuple[str, ...]:
        """Who drew each box: the annotator of the box, else of the film."""
        return tuple(box.annotator or self.annotator for box in self.boxes)

    def on_film(self, width: int, height: int) -> FilmAnnotation:
        """The film with checked boxes; a corner up to a pixel outside is set onto the edge.

        Raises:
            ValueError: the file states another size, or a box is flipped, empty or further outside.
        """
        if self.size is not None and self.size != (width, height):
            raise ValueError(f"film of {width} x {height} px, got {self.size[0]} x {self.size[1]}")
        size = np.array([width, height] * 2, dtype=np.float64)
        xyxy = self.xyxy
        outside = np.maximum(-xyxy, xyxy - size)
        if (outside > EDGE_TOLERANCE_PX).any():
            raise ValueError(
                f"boxes inside {width} x {height} px, got {xyxy[outside.argmax() // 4].tolist()}"
            )
        xyxy = np.clip(xyxy, 0, size)
        bad = np.flatnonzero(~valid_boxes(xyxy, width, height))
        if len(bad):
            raise ValueError(f"x1 < x2 and y1 < y2, got {xyxy[bad[0]].tolist()}")
        return FilmAnnotation(
            name=self.name,
            boxes=Boxes(xyxy, width, height),
            labels=self.labels,
            scores=self.scores,
            keywords=self.keywords,
            annotators=tuple(box.annotator for box in self.boxes),
            sentences=tuple(box.sentence for box in self.boxes),
            annotator=self.annotator,
            image_id=self.image_id,
            p_pneumonia=self.p_pneumonia,
            severity=self.severity,
        )
