"""`grounded_films`: the films of a folder of `pneumoloc ground`, each with its report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from localize.formats.hub.film_names import film_names
from localize.formats.hub.from_groundings import annotation_of_grounding
from localize.formats.hub.from_tables import Selection
from localize.grounding.report_grounding import ReportGrounding
from localize.grounding.tables import read_groundings
from localize.viewing.gallery.cards import Card, CardBox, rounded
from localize.viewing.grounding_page.build import page_sentences
from localize.viewing.viewer.viewer_films import FilmReport, ViewerFilm


def grounded_films(folder: Path, files: Mapping[str, Path]) -> list[ViewerFilm]:
    """Every film that was read with a report, in the order of the folder.

    Reports without a film, and films without a report, have no boxes to correct: they are left out.

    Args:
        folder: the groundings.
        files: film file of each `image_id`.

    Raises:
        DataError: the folder is unfinished or damaged, or two films have one name.
    """
    shown = [film for film in read_groundings(folder) if film.width]
    names = film_names((film.path for film in shown), (film.image_id for film in shown))
    return [
        grounded_film(film, name, files.get(film.image_id))
        for film, name in zip(shown, names, strict=True)
    ]


def grounded_film(grounding: ReportGrounding, name: str, file: Path | None) -> ViewerFilm:
    """One film: its boxes are those of all sentences, best first, under their findings."""
    found = annotation_of_grounding(grounding, name, Selection())
    corners = [(x1, y1, x2, y2) for x1, y1, x2, y2 in found.xyxy.round(2).tolist()]
    boxes = tuple(
        CardBox(box, rounded(score) or 0.0, label, words)
        for box, score, label, words in zip(
            corners, found.scores.tolist(), found.labels, found.keywords, strict=True
        )
    )
    card = Card(
        id=grounding.image_id,
        width=grounding.width,
        height=grounding.height,
        p_pneumonia=None,
        severity=None,
        severity_low=None,
        severity_high=None,
        boxes=boxes,
        true_boxes=None,
        attributes=(),
    )
    report = FilmReport(page_sentences(grounding), found.sentences)
    return ViewerFilm(card, name, file, report)
