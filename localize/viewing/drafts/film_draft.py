"""`FilmDraft`: draft sentences of one film with their evidence and doubts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from data_manifests.support.errors import ConfigError
from localize.viewing.gallery.cards import Corners

Statement = Literal["opacity", "no opacity"]


@dataclass(frozen=True)
class DraftOptions:
    """When a sentence states an opacity, and when it is uncertain.

    The film's own call decides: yes, no, or unsure, which is uncertain. For films without a call
    P(pneumonia) decides.

    Args:
        present: from this P(pneumonia) on a film without a call has an opacity.
        absent: below this P(pneumonia) it has none; between the two it is uncertain.
        min_score: boxes from this score on are described, and the best box always.
        sure_score: below this score the place of a box is uncertain.
        min_attribute: keywords from this probability on are used.
        max_boxes: at most so many boxes are described.

    Raises:
        ConfigError: `absent` above `present`, or one outside [0, 1].
    """

    present: float = 0.7
    absent: float = 0.3
    min_score: float = 0.2
    sure_score: float = 0.4
    min_attribute: float = 0.5
    max_boxes: int = 4

    def __post_init__(self) -> None:
        if not 0 <= self.absent <= self.present <= 1:
            raise ConfigError(
                f"drafts: expected 0 <= absent <= present <= 1, got {self.absent}, {self.present}"
            )


@dataclass(frozen=True)
class BoxEvidence:
    """A box that a sentence describes; `number` counts the film's boxes from 1, best first."""

    number: int
    xyxy: Corners
    score: float
    keywords: tuple[str, ...]


@dataclass(frozen=True)
class Sentence:
    """One draft sentence; it is uncertain exactly if it has `doubts`."""

    text: str
    statement: Statement
    places: tuple[str, ...]
    is_uncertain: bool
    doubts: tuple[str, ...]
    boxes: tuple[BoxEvidence, ...]
    keywords: Mapping[str, float]


@dataclass(frozen=True)
class FilmDraft:
    """The draft of one film; `to_check` lists contradictions between the model's numbers."""

    image_id: str
    p_pneumonia: float | None
    severity: float | None
    severity_low: float | None
    severity_high: float | None
    sentences: tuple[Sentence, ...]
    to_check: tuple[str, ...]
    skipped: str | None = None
