"""`FilmAnswers`: how the regions of a film answer to keywords."""

from __future__ import annotations

from dataclasses import dataclass

from localize.viewing.gallery.cards import Corners


@dataclass(frozen=True)
class AnsweringRegion:
    """A region in film pixels; `alpha` its weight, `answers` s_ij to each keyword in [-1, 1]."""

    xyxy: Corners
    alpha: float
    answers: tuple[float, ...]


@dataclass(frozen=True)
class FilmAnswers:
    """The regions of a film, best first, and the keywords that they answer to."""

    keywords: tuple[str, ...]
    regions: tuple[AnsweringRegion, ...]
