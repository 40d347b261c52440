"""`GroundingQuery`: what the network is asked about one finding, with and without structure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_manifests.support.arrays import Bools, Ints

if TYPE_CHECKING:
    from attributes import ReportFinding
    from localize.grounding.network.text_encoder import TextTokens

# Classes of phrases: the finding, and the axes of the lexicon's attributes.
PHRASE_CLASSES = ("finding", "laterality", "zone", "extent", "texture", "severity", "size")
ASSERTIONS = ("present", "absent", "uncertain", "resolved")
ORGANS = ("lung", "pleura", "heart", "other")
ORGAN_OF = {
    "effusion": "pleura",
    "pneumothorax": "pleura",
    "cardiomegaly": "heart",
    "device": "other",
}


@dataclass(frozen=True)
class GroundingQuery:
    """One finding of a report of T tokens.

    Args:
        organ: index into ORGANS.
        assertion: index into ASSERTIONS.
        order: (S,) the tokens of the finding's phrases, class by class in the order of
            PHRASE_CLASSES; a class without tokens is not there.
        classes: (S,) the class of each, an index into PHRASE_CLASSES.
        is_target: (T,) the tokens of the finding's noun in the whole report.
    """

    organ: int
    assertion: int
    order: Ints
    classes: Ints
    is_target: Bools


def query_of_finding(
    tokens: TextTokens, finding: ReportFinding, axis_of: Mapping[str, str]
) -> GroundingQuery:
    """The query of a structured finding whose offsets are those of the tokens' text.

    A token belongs to the class of the attribute whose words it overlaps; a keyword of another
    axis that shares these words (`bibasilar`) does not.
    """
    is_target = _overlap(tokens, finding.start, finding.end)
    by_class: dict[str, list[int]] = {"finding": np.flatnonzero(is_target).tolist()}
    for attribute in finding.attributes:
        axis = axis_of[attribute.name]
        if axis not in PHRASE_CLASSES:
            continue
        for place in np.flatnonzero(_overlap(tokens, attribute.start, attribute.end)).tolist():
            if axis_of.get(tokens.words[place], axis) == axis:
                by_class.setdefault(axis, []).append(place)
    order: list[int] = []
    classes: list[int] = []
    for number, name in enumerate(PHRASE_CLASSES):
        places = sorted(set(by_class.get(name, ())))
        order += places
        classes += [number] * len(places)
    return GroundingQuery(
        organ=ORGANS.index(ORGAN_OF.get(finding.finding, "lung")),
        assertion=ASSERTIONS.index(finding.assertion),
        order=np.array(order, np.int64),
        classes=np.array(classes, np.int64),
        is_target=is_target,
    )


def finding_at(findings: Sequence[ReportFinding], start: int, end: int) -> ReportFinding | None:
    """The first finding whose noun overlaps the characters `start` to `end`; None if none does."""
    return next((one for one in findings if one.start < end and one.end > start), None)


def _overlap(tokens: TextTokens, start: int, end: int) -> Bools:
    overlap: Bools = (tokens.starts < end) & (tokens.ends > start)
    return overlap
