"""`ReportGrounding`: the sentences of one report on one film, each with its boxes or why none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np

from data_manifests.boxes import Boxes
from data_manifests.support.arrays import Floats

Method = Literal["detector", "place", "heart"]
WhyNone = Literal[
    "",
    "absent",
    "history",
    "uncertain",
    "not visual",
    "no known finding",
    "no method",
    "outside the film",
    "not found",
    "no report",
    "no film",
    "film unreadable",
]


@dataclass(frozen=True, eq=False)
class GroundedSentence:
    """One finding of one sentence with its boxes; or a sentence without any finding.

    Args:
        section: the heading above, empty without one.
        sentence: the sentence as it is written.
        start, end: its characters in the section's text.
        finding: the lexicon's name, empty for a sentence without a finding.
        words: the noun as it is written; `words_start`, `words_end` its characters.
        assertion: present, absent, uncertain, resolved; empty without a finding.
        attributes: names of the attributes, in the order of the lexicon.
        xyxy: (N, 4) boxes in film pixels, best first.
        scores: (N,) in [0, 1]; docs/grounding.md says what they mean for each method.
        methods: N methods.
        why_none: why there is no box; empty if there is one.

    Raises:
        ValueError: unequal lengths, a score out of range, or both boxes and `why_none`, or neither.
    """

    section: str
    sentence: str
    start: int
    end: int
    finding: str = ""
    words: str = ""
    words_start: int = 0
    words_end: int = 0
    assertion: str = ""
    attributes: tuple[str, ...] = ()
    xyxy: Floats = field(default_factory=lambda: np.zeros((0, 4)))
    scores: Floats = field(default_factory=lambda: np.zeros(0))
    methods: tuple[Method, ...] = ()
    why_none: WhyNone = ""

    def __post_init__(self) -> None:
        xyxy = np.array(self.xyxy, np.float64)
        scores = np.array(self.scores, np.float64)
        if xyxy.shape != (len(scores), 4) or len(self.methods) != len(scores):
            raise ValueError(
                f"xyxy, scores and methods: expected one of each for every box, got shape "
                f"{xyxy.shape}, {len(scores)} and {len(self.methods)}"
            )
        if not ((scores >= 0) & (scores <= 1)).all():
            raise ValueError(f"scores: expected numbers in [0, 1], got {scores.tolist()}")
        if self.why_none not in get_args(WhyNone) or bool(self.why_none) == bool(len(scores)):
            raise ValueError(
                f"why_none: expected one of {', '.join(get_args(WhyNone)[1:])} without a box and "
                f"nothing with one, got {self.why_none!r} with {len(scores)} boxes"
            )
        for name, values in (("xyxy", xyxy), ("scores", scores)):
            values.setflags(write=False)
            object.__setattr__(self, name, values)

    def __len__(self) -> int:
        return len(self.scores)


@dataclass(frozen=True)
class ReportGrounding:
    """One report on one film.

    Args:
        study_id, image_id: as in the tables; empty where not known.
        path: the film as the user named it.
        width, height: of the film in pixels; 0 where there is no readable film.
        sentences: every finding, and every sentence without one, in the order of the report.

    Raises:
        ValueError: a box outside the film.
    """

    study_id: str
    image_id: str
    path: str
    width: int
    height: int
    sentences: tuple[GroundedSentence, ...]

    def __post_init__(self) -> None:
        for one in self.sentences:
            if len(one):
                Boxes(one.xyxy, self.width, self.height)

    def __len__(self) -> int:
        return len(self.sentences)

    @property
    def grounded(self) -> tuple[GroundedSentence, ...]:
        """The sentences with a box."""
        return tuple(one for one in self.sentences if len(one))

    def to_dict(self) -> dict[str, Any]:  # Any: whatever JSON holds
        """Plain data for JSON."""
        return {
            "study_id": self.study_id,
            "image_id": self.image_id,
            "path": self.path,
            "width": self.width,
            "height": self.height,
            "sentences": [
                {
                    "section": one.section,
                    "sentence": one.sentence,
                    "start": one.start,
                    "end": one.end,
                    "finding": one.finding,
                    "words": one.words,
                    "assertion": one.assertion,
                    "attributes": list(one.attributes),
                    "boxes": [
                        {"xyxy": corners, "score": score, "method": method}
                        for corners, score, method in zip(
                            one.xyxy.tolist(), one.scores.tolist(), one.methods, strict=True
                        )
                    ],
                    "why_none": one.why_none,
                }
                for one in self.sentences
            ],
        }
