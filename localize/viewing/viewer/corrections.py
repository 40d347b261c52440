"""`Corrections`: the films that a person has reviewed, with their boxes, in a COCO file."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_manifests.boxes import Boxes
from data_manifests.support.atomic import waiting_lock
from data_manifests.support.errors import DataError
from localize.formats.export import export
from localize.formats.hub.annotations import FilmAnnotation, annotations_of_films
from localize.formats.hub.format_options import FormatOptions
from localize.formats.tools.coco import read_coco, write_coco
from localize.viewing.gallery.cards import Corners
from localize.viewing.viewer.viewer_films import ViewerFilm

ANNOTATOR = "viewer"  # the default of the command
# Formats of one file that need no film; the others are made by `import-boxes`, then `export`.
DOWNLOADS = {"coco": "json", "label-studio": "json", "cvat": "xml"}
MAX_BOXES = 500
MAX_LABEL = 100
SAME_PX = 0.006  # the page rounds corners to two decimals


@dataclass(frozen=True)
class PageBox:
    """A box as the page shows and sends it, in film pixels.

    Args:
        xyxy: its corners.
        label: its label.
        score: the model's score, None for a box that a person drew or changed.
        annotator: who drew, changed or confirmed it; "" for a box of the model.
        is_confirmed: sent by the page where the person confirmed a box as it is.
        sentence: of the report that it belongs to, as it is written; "" for none.
    """

    xyxy: Corners
    label: str
    score: float | None = None
    annotator: str = ""
    is_confirmed: bool = False
    sentence: str = ""


def corrections_file(folder: Path, annotator: str) -> Path:
    """The COCO file of one annotator; each has their own, so that no work is replaced."""
    if annotator == ANNOTATOR:
        return folder / "corrections.coco.json"
    plain = re.sub(r"[^\w-]+", "_", annotator)[:60]
    return folder / f"corrections.{plain}.coco.json"


class Corrections:
    """Reviewed films with their boxes; every change is on the disk when `save` returns.

    Several viewers may write the file of one annotator: what another one saved is read before each
    save, and stays.
    """

    def __init__(self, folder: Path, annotator: str) -> None:
        self.folder = folder
        self.annotator = annotator
        self.file = corrections_file(folder, annotator)
        self._lock = threading.Lock()
        self._films = self._on_disk()  # as they were shown here

    def __len__(self) -> int:
        return len(self._films)

    def of(self, film: ViewerFilm) -> list[PageBox] | None:
        """The boxes of a reviewed film, None where it is not reviewed yet."""
        found = self._films.get(film.name)
        if found is None:
            return None
        return [
            PageBox(
                (x1, y1, x2, y2),
                found.labels[box],
                found.score(box),
                found.annotators[box],
                sentence=found.sentences[box],
            )
            for box, (x1, y1, x2, y2) in enumerate(found.xyxy.tolist())
        ]

    def labels(self) -> list[str]:
        """The labels of all saved boxes."""
        return sorted({label for film in self._films.values() for label in film.labels})

    def save(self, film: ViewerFilm, boxes: Sequence[PageBox]) -> Path:
        """Replace the boxes of a film and write the file; returns its path.

        A box that is the model's own, corner by corner and with its label and sentence, keeps its
        score and words; others get the annotator's name and no score.

        Raises:
            ValueError: a box outside the film, too many boxes, a wrong label, a sentence that is
                not in the film's report, or another viewer has saved the film meanwhile.
        """
        if len(boxes) > MAX_BOXES:
            raise ValueError(f"expected at most {MAX_BOXES} boxes, got {len(boxes)}")
        for box in boxes:
            if not (box.label.isprintable() and 0 < len(box.label) <= MAX_LABEL):
                raise ValueError(f"expected a label of 1 to {MAX_LABEL} letters, got another")
        known = {one.text for one in film.report.sentences} if film.report else set()
        if unknown := {box.sentence for box in boxes} - known - {""}:
            raise ValueError(f"expected sentences of the film's report, got {min(unknown)[:80]!r}")
        corners = np.array([box.xyxy for box in boxes], dtype=np.float64).reshape(-1, 4)
        placed = Boxes(corners, film.card.width, film.card.height)
        scores, keywords, annotators = [], [], []
        with self._lock, waiting_lock(self.folder):
            saved = self._on_disk()
            before = saved.get(film.name)
            if before is not None and _differ(self._films.get(film.name), before):
                self._films[film.name] = before
                raise ValueError(
                    f"film {film.name!r}: another viewer has saved it; open the film again"
                )
            for box in boxes:
                score, words, annotator = self._origin(film, before, box)
                scores.append(np.nan if score is None else score)
                keywords.append(words)
                annotators.append(self.annotator if box.is_confirmed else annotator)
            annotation = FilmAnnotation(
                name=film.name,
                boxes=placed,
                labels=tuple(box.label for box in boxes),
                scores=np.array(scores, dtype=np.float64),
                keywords=tuple(keywords),
                annotators=tuple(annotators),
                sentences=tuple(box.sentence for box in boxes),
                annotator=self.annotator,
                image_id=film.card.id,
                p_pneumonia=film.card.p_pneumonia,
                severity=film.card.severity,
            )
            films = {**saved, film.name: annotation}
            write_coco(annotations_of_films(films.values()), self.file, FormatOptions())
            self._films[film.name] = annotation
        return self.file

    def export(self, format_name: str) -> Path:
        """Write all reviewed films in a format of `DOWNLOADS`; returns the file.

        Raises:
            ValueError: another format, or nothing reviewed yet.
        """
        if format_name not in DOWNLOADS:
            raise ValueError(f"expected one of {', '.join(DOWNLOADS)}, got another format")
        with self._lock, waiting_lock(self.folder):
            saved = self._on_disk()
            if not saved:
                raise ValueError("expected at least one saved film, got none")
            if format_name == "coco":
                return self.file
            stem = self.file.name.removesuffix(".coco.json")
            target = self.folder / f"{stem}.{format_name}.{DOWNLOADS[format_name]}"
            films = saved.values()
            words = sorted({word for film in films for box in film.keywords for word in box})
            annotations = annotations_of_films(films, keywords=tuple(words))
            export(annotations, format_name, target, has_sidecar=False)
        return target

    def _on_disk(self) -> dict[str, FilmAnnotation]:
        return {film.name: film for film in _reviewed_films(self.file)}

    def _origin(
        self, film: ViewerFilm, before: FilmAnnotation | None, box: PageBox
    ) -> tuple[float | None, tuple[str, ...], str]:
        """Score, words and annotator of a box: as it was, or those of a box drawn now."""
        sent = (box.label, box.sentence)
        if before is not None:
            for old, xyxy in enumerate(before.xyxy.tolist()):
                own = (before.labels[old], before.sentences[old])
                if own == sent and _is_same(xyxy, box.xyxy):
                    return before.score(old), before.keywords[old], before.annotators[old]
        boxes = film.card.boxes
        sentences = film.report.of_boxes if film.report else ("",) * len(boxes)
        for proposed, sentence in zip(boxes, sentences, strict=True):
            if (proposed.label, sentence) == sent and _is_same(proposed.xyxy, box.xyxy):
                return proposed.score, proposed.attributes, ""
        return None, (), self.annotator


def _is_same(first: Sequence[float], second: Sequence[float]) -> bool:
    return all(abs(a - b) <= SAME_PX for a, b in zip(first, second, strict=True))


def _differ(first: FilmAnnotation | None, second: FilmAnnotation) -> bool:
    """Whether two versions of a film have other boxes, labels, sentences or annotators."""
    if first is None:
        return True
    names = ("labels", "sentences", "annotators")
    is_same = all(getattr(first, name) == getattr(second, name) for name in names)
    return not is_same or not np.allclose(first.xyxy, second.xyxy, atol=SAME_PX)


def _reviewed_films(file: Path) -> list[FilmAnnotation]:
    """The films of an earlier session.

    Raises:
        DataError: the file is not one of the viewer's, or a box lies outside its film.
    """
    if not file.is_file():
        return []
    films = []
    for film in read_coco(file):
        if film.size is None:
            raise DataError(f"{file.name}: expected the size of film {film.name!r}, got none")
        try:
            films.append(film.on_film(*film.size))
        except ValueError as error:
            raise DataError(f"{file.name}, film {film.name!r}: expected {error}") from error
    return films
