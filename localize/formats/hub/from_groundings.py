"""`annotations_from_groundings`: the hub from a folder of `pneumoloc ground`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data_manifests.boxes import Boxes
from localize.formats.hub.annotations import DEFAULT_LABEL, Annotations, FilmAnnotation
from localize.formats.hub.film_names import film_names
from localize.formats.hub.from_tables import Selection
from localize.grounding.report_grounding import ReportGrounding
from localize.grounding.tables import read_groundings

MODEL = "pneumoloc ground"


def annotations_from_groundings(
    folder: Path, selection: Selection | None = None, *, image_root: str = ""
) -> Annotations:
    """The readable films in order, each with the boxes of its sentences; the label is the finding.

    Reports without a film, and films that could not be read, are left out: the folder names them.

    Args:
        folder: as `pneumoloc ground` wrote it.
        selection: all boxes under their findings by default.
        image_root: as in `annotations_from_prediction`.

    Raises:
        DataError: a table is missing or damaged, or two films of one name.
    """
    selection = selection or Selection()
    paths: list[str] = []
    image_ids: list[str] = []
    labels: set[str] = set()
    words: set[str] = set()
    has_sentences = False
    for film in _readable(folder):
        paths.append(film.path)
        image_ids.append(film.image_id)
        for one in film.grounded:
            labels.add(selection.label(one.finding))
            words.update(one.attributes)
            has_sentences = True
    names = film_names(paths, image_ids, image_root)

    def films() -> Iterator[FilmAnnotation]:
        for film, name in zip(_readable(folder), names, strict=True):
            yield annotation_of_grounding(film, name, selection)

    return Annotations(
        tuple(sorted(labels)) or (DEFAULT_LABEL,),
        tuple(sorted(words)),
        MODEL,
        films,
        len(names),
        has_sentences,
    )


def annotation_of_grounding(
    film: ReportGrounding, name: str, selection: Selection
) -> FilmAnnotation:
    """The boxes of all sentences of one film, best first."""
    rows = [
        (float(score), place, one)
        for one in film.grounded
        for place, score in enumerate(one.scores)
        if selection.min_score is None or score >= selection.min_score
    ]
    rows.sort(key=lambda row: -row[0])
    rows = rows[: selection.max_boxes]
    corners = [one.xyxy[place] for _, place, one in rows]
    return FilmAnnotation(
        name=name,
        boxes=Boxes(np.array(corners, np.float64).reshape(-1, 4), film.width, film.height),
        labels=tuple(selection.label(one.finding) for _, _, one in rows),
        scores=np.array([score for score, _, _ in rows], np.float64),
        keywords=tuple(one.attributes for _, _, one in rows),
        sentences=tuple(one.sentence for _, _, one in rows),
        image_id=film.image_id,
        path=film.path,
    )


def _readable(folder: Path) -> Iterator[ReportGrounding]:
    return (film for film in read_groundings(folder) if film.width)
