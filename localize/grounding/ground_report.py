"""`ground_report`: each finding of a report on its regions of one film.

Three methods, named in every row:

- `detector`: regions of the detector, each with its score times the agreement with the words of
  place; its edges are the mean of the regions around it. For opacities, oedema, atelectasis,
  nodules and masses.
- `place`: the part of the lung that the words name. For effusion and pneumothorax, and for
  atelectasis, nodules and masses where the detector has no region there. No pixel beyond the lungs
  is looked at.
- `heart`: the heart, for cardiomegaly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from attributes.structure import Finding
from data_manifests.boxes import iou_matrix
from data_manifests.support.arrays import Floats
from localize.grounding.film_anatomy import FilmAnatomy
from localize.grounding.place_agreement import (
    AgreementWeights,
    PlaceWords,
    place_agreement,
    regions_of_words,
)
from localize.grounding.place_boxes import PLACE_SCORES, USUAL_ZONE, place_rectangles
from localize.grounding.report_grounding import GroundedSentence, Method, WhyNone
from localize.grounding.report_sentences import ReportSentence

OPACITIES = frozenset(
    {"pneumonia", "consolidation", "infiltrate", "opacity", "airspace_disease", "edema"}
)
DETECTED_OR_PLACED = frozenset({"atelectasis", "nodule", "mass"})
PLACED = frozenset({"effusion", "pneumothorax"})
HEART = frozenset({"cardiomegaly"})
MANY = frozenset({"multifocal", "diffuse", "patchy", "interstitial"})
SMALL = frozenset({"nodule"})  # findings that are small unless a word says otherwise
VOTING_IOU = 0.5  # regions that overlap the chosen one by this move its edges


@dataclass(frozen=True)
class ScoredRegions:
    """R regions of the detector on a film: `xyxy` (R, 4) film pixels, `scores` (R,) in [0, 1]."""

    xyxy: Floats
    scores: Floats


@dataclass(frozen=True)
class GroundingRule:
    """Numbers of the rule; chosen on validation films of RSNA and SIIM, see docs/grounding.md.

    Args:
        weights: of the agreement with words of place.
        least_score: score times agreement from which a region is taken.
        more_share: further regions of one place are taken from this share of the best one's score.
        most: regions of one place.
        apart_iou: further regions overlap the others less than this.
    """

    weights: AgreementWeights = field(default_factory=AgreementWeights)
    least_score: float = 0.01
    more_share: float = 0.5
    most: int = 4
    apart_iou: float = 0.2


def ground_report(
    sentences: Sequence[ReportSentence],
    regions: ScoredRegions,
    anatomy: FilmAnatomy,
    rule: GroundingRule = GroundingRule(),
) -> tuple[GroundedSentence, ...]:
    """Every finding of every sentence, and every sentence without one, in order."""
    rows: list[GroundedSentence] = []
    for sentence in sentences:
        if not sentence.findings:
            rows.append(_row(sentence, None, _why_no_finding(sentence)))
        for finding in sentence.findings:
            why = why_not(sentence, finding)
            if why:
                rows.append(_row(sentence, finding, why))
                continue
            boxes = ground_finding(finding.finding, finding.attributes, regions, anatomy, rule)
            if len(boxes.scores):
                rows.append(_row(sentence, finding, "", boxes))
            else:
                rows.append(_row(sentence, finding, "not found"))
    return tuple(rows)


def ungrounded_report(
    sentences: Sequence[ReportSentence], why: WhyNone
) -> tuple[GroundedSentence, ...]:
    """The same rows where there is no film to ground them on."""
    return tuple(
        _row(sentence, finding, why)
        for sentence in sentences
        for finding in sentence.findings or (None,)
    )


def why_not(sentence: ReportSentence, finding: Finding) -> WhyNone:
    """Why a finding has no region whatever the film shows; empty if it may have one.

    An uncertain finding is grounded like a present one if it is likely, or if a place is stated of
    it: "possible left basal opacity" points to something, "cannot exclude pneumonia" to nothing.
    """
    if not sentence.is_read or finding.assertion == "resolved":
        return "history"
    if finding.assertion == "absent":
        return "absent"
    if sentence.is_other_picture:
        return "outside the film"
    if finding.finding not in OPACITIES | DETECTED_OR_PLACED | PLACED | HEART:
        return "no method"
    if finding.assertion == "uncertain" and not finding.is_likely:
        if all(words.is_empty for words in regions_of_words(finding.attributes)):
            return "uncertain"
    return ""


@dataclass(frozen=True)
class FoundBoxes:
    """N boxes of a finding, best first."""

    xyxy: Floats
    scores: Floats
    methods: tuple[Method, ...]


def ground_finding(
    name: str,
    attributes: Sequence[str],
    regions: ScoredRegions,
    anatomy: FilmAnatomy,
    rule: GroundingRule = GroundingRule(),
) -> FoundBoxes:
    """The regions of a finding that is there; a box for each side of a bilateral one at least."""
    if name in HEART:
        score = PLACE_SCORES[name].of(anatomy)
        return _boxes([anatomy.heart_rectangle()], [score], "heart")
    places = regions_of_words(attributes)
    if name in PLACED:
        return _placed(name, attributes, places, anatomy)
    has_many = bool(MANY & set(attributes))
    found: list[FoundBoxes] = []
    for words in places:
        if not words.zones and name in USUAL_ZONE:
            words = PlaceWords(words.side, (USUAL_ZONE[name],), words.sizes)
        if not words.sizes and name in SMALL:
            words = PlaceWords(words.side, words.zones, ("small",))
        detected = _detected(words, regions, anatomy, rule, most=rule.most if has_many else 1)
        if not len(detected.scores) and name in DETECTED_OR_PLACED:
            detected = _placed(name, attributes, [words], anatomy)
        found.append(detected)
    return _joined(found)


def _detected(
    words: PlaceWords,
    regions: ScoredRegions,
    anatomy: FilmAnatomy,
    rule: GroundingRule,
    *,
    most: int,
) -> FoundBoxes:
    """The best regions of one place."""
    agreement = place_agreement(regions.xyxy, words, anatomy, rule.weights)
    scores = regions.scores * agreement
    chosen: list[int] = []
    for row in np.argsort(-scores, kind="stable"):
        best = scores[chosen[0]] if chosen else 0.0
        if len(chosen) == most or scores[row] < max(rule.least_score, rule.more_share * best):
            break
        overlap = iou_matrix(regions.xyxy[[row]], regions.xyxy[chosen])
        if not overlap.size or overlap.max() < rule.apart_iou:
            chosen.append(int(row))
    boxes = [anatomy.inside(_voted(regions.xyxy, scores, row)) for row in chosen]
    return _boxes(boxes, scores[chosen].tolist(), "detector")


def _voted(xyxy: Floats, scores: Floats, chosen: int) -> Floats:
    """The mean of the regions that overlap the chosen one (box voting, Gidaris & Komodakis)."""
    overlap = iou_matrix(xyxy[[chosen]], xyxy)[0]
    votes = np.where(overlap >= VOTING_IOU, scores * overlap, 0.0)
    mean: Floats = votes @ xyxy / votes.sum() if votes.sum() > 0 else xyxy[chosen]
    return mean


def _placed(
    name: str, attributes: Sequence[str], places: Sequence[PlaceWords], anatomy: FilmAnatomy
) -> FoundBoxes:
    """The part of the lung that the words name; nothing where no side is stated."""
    boxes = place_rectangles(name, attributes, places, anatomy)
    return _boxes(boxes, [PLACE_SCORES[name].of(anatomy)] * len(boxes), "place")


def _boxes(boxes: Sequence[Floats], scores: Sequence[float], method: Method) -> FoundBoxes:
    return FoundBoxes(
        np.array(boxes, np.float64).reshape(-1, 4),
        np.clip(np.array(scores, np.float64), 0.0, 1.0),
        (method,) * len(boxes),
    )


def _joined(parts: Sequence[FoundBoxes]) -> FoundBoxes:
    """All boxes, best first."""
    scores = np.concatenate([part.scores for part in parts])
    order = np.argsort(-scores, kind="stable")
    methods = [method for part in parts for method in part.methods]
    return FoundBoxes(
        np.concatenate([part.xyxy for part in parts])[order],
        scores[order],
        tuple(methods[k] for k in order),
    )


def _why_no_finding(sentence: ReportSentence) -> WhyNone:
    if not sentence.is_read:
        return "history"
    return "no known finding" if sentence.has_nouns else "not visual"


def _row(
    sentence: ReportSentence,
    finding: Finding | None,
    why: WhyNone,
    boxes: FoundBoxes | None = None,
) -> GroundedSentence:
    at = sentence.start
    head = {
        "section": sentence.section,
        "sentence": sentence.text,
        "start": at,
        "end": at + len(sentence.text),
    }
    stated: Mapping[str, object] = {}
    if finding is not None:
        stated = {
            "finding": finding.finding,
            "words": sentence.text[finding.start : finding.end],
            "words_start": at + finding.start,
            "words_end": at + finding.end,
            "assertion": finding.assertion,
            "attributes": finding.attributes,
        }
    drawn: Mapping[str, object] = {}
    if boxes is not None:
        drawn = {"xyxy": boxes.xyxy, "scores": boxes.scores, "methods": boxes.methods}
    return GroundedSentence(**head, **stated, **drawn, why_none=why)  # type: ignore[arg-type]
