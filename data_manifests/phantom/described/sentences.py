"""`describe_film`: a report that names each finding and denies others, with the boxes of each.

Findings are mentioned one in a sentence, two in a sentence, or together with a denial, so that the
words of one finding stand beside those of another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data_manifests.laterality import SIDES_ACROSS_FILM
from data_manifests.phantom.described.findings import Mention
from data_manifests.phantom.lesions import Opacity
from data_manifests.phantom.other_sentences import LARGE_HEART, atelectasis_phrase, effusion_phrase
from data_manifests.phantom.phrases import (
    NOUNS,
    PLURALS,
    choose,
    region_phrase,
    whole_phrase,
)
from data_manifests.phantom.plan import Distractors
from data_manifests.phantom.truth import Truth
from data_manifests.support.arrays import Floats

NO_BOX = np.zeros((0, 4))
OPACITY_NOUNS = sorted(
    {noun for nouns in NOUNS.values() for noun in nouns} | set(PLURALS.values()),
    key=len,
    reverse=True,  # the longest noun at a place is the one that is meant
)
ZONE_NAMES = {"upper": "upper", "middle": "mid", "lower": "lower"}
JOINED, DENIED_BESIDE = 0.35, 0.25  # shares of sentences with a second finding, with a denial
MAX_DENIALS = 3
FILM_WIDTH_MM = 430


@dataclass(frozen=True)
class Clause:
    """A noun phrase, or a whole sentence where `is_sentence`, with what it mentions."""

    text: str
    mentions: tuple[Mention, ...]
    is_sentence: bool = False


@dataclass(frozen=True)
class Description:
    """A report and all its mentions, in the order of the text."""

    text: str
    mentions: tuple[Mention, ...]


def describe_film(
    rng: np.random.Generator,
    truth: Truth,
    opacity: Opacity,
    plan: Distractors,
    boxes: Mapping[str, Floats],
) -> Description:
    """Write the report; `boxes` are those of the findings beside the opacity."""
    present = [*_opacities(rng, truth, opacity), *_others(rng, plan, boxes)]
    absent = _denials(rng, truth, plan, boxes)
    present = [present[int(k)] for k in rng.permutation(len(present))]
    sentences: list[Clause] = []
    while present:
        clause = present.pop()
        if clause.is_sentence:
            sentences.append(clause)
            continue
        if present and not present[-1].is_sentence and rng.random() < JOINED:
            clause = _joined(clause, choose(rng, (" with ", " and ")), present.pop())
        elif absent and rng.random() < DENIED_BESIDE:
            clause = _joined(clause, ", but no ", absent.pop())
        sentences.append(_ended(clause))
    sentences += [_denied(rng, clause) for clause in absent]
    if rng.random() < 0.3:
        sentences.append(_resolved(rng))
    order = rng.permutation(len(sentences))
    return _report([sentences[int(k)] for k in order])


def _opacities(rng: np.random.Generator, truth: Truth, opacity: Opacity) -> list[Clause]:
    """All regions in one phrase, or a phrase for each."""
    if not truth.has_opacity:
        return []
    if len(truth.regions) > 1 and truth.extent != "diffuse" and rng.random() < 0.6:
        return [
            _clause(region_phrase(rng, truth, region).text, "opacity", box[None])
            for region, box in zip(truth.regions, opacity.boxes, strict=True)
        ]
    return [_clause(whole_phrase(rng, truth, detail=0.65).text, "opacity", opacity.boxes)]


def _others(
    rng: np.random.Generator, plan: Distractors, boxes: Mapping[str, Floats]
) -> list[Clause]:
    found = []
    if "effusion" in boxes:
        found.append(_clause(effusion_phrase(rng, plan), "effusion", boxes["effusion"]))
    if "nodule" in boxes:
        side = SIDES_ACROSS_FILM[plan.nodule_side or 0]
        zone = tuple(ZONE_NAMES.values())[min(2, int(plan.nodule_place[1] * 3))]
        size_mm = round(plan.nodule_radius * 2.0 * FILM_WIDTH_MM)
        frames = (
            f"{size_mm} mm nodule in the {side} {zone} lung",
            f"rounded {size_mm} mm {side} {zone} lung nodule",
        )
        found.append(_clause(choose(rng, frames), "nodule", boxes["nodule"]))
    if "atelectasis" in boxes:
        text = atelectasis_phrase(rng, plan)
        found.append(_clause(text, "atelectasis", boxes["atelectasis"]))
    if "cardiomegaly" in boxes:
        text = choose(rng, LARGE_HEART)
        noun = "enlarged" if "enlarged" in text else "cardiomegaly"
        found.append(_clause(text, "cardiomegaly", boxes["cardiomegaly"], noun=noun, whole=True))
    return found


def _denials(
    rng: np.random.Generator, truth: Truth, plan: Distractors, boxes: Mapping[str, Floats]
) -> list[Clause]:
    """Findings that are not there, some of a kind that is there elsewhere."""
    taken = {(region.side, third) for region in truth.regions for third in region.thirds}
    options: list[tuple[str, str, str]] = [("pneumothorax", "pneumothorax", "pneumothorax")]
    for number, side in enumerate(SIDES_ACROSS_FILM):
        for third, name in ZONE_NAMES.items():
            if (side, third) not in taken:
                noun = choose(rng, ("consolidation", "focal opacity", "infiltrate"))
                kind = "opacity"
                options.append((kind, f"{noun} in the {side} {name} lung", noun.split()[-1]))
        if number != plan.effusion_side:
            options.append(("effusion", f"{side} pleural effusion", "effusion"))
        if number != plan.nodule_side:
            options.append(("nodule", f"nodule in the {side} lung", "nodule"))
        options.append(("pneumothorax", f"{side} apical pneumothorax", "pneumothorax"))
    if "cardiomegaly" not in boxes:
        options.append(("cardiomegaly", "cardiomegaly", "cardiomegaly"))
    chosen = rng.permutation(len(options))[: 1 + int(rng.integers(MAX_DENIALS))]
    return [
        _clause(text, kind, NO_BOX, noun=noun, assertion="absent")
        for kind, text, noun in (options[int(k)] for k in chosen)
    ]


def _clause(
    text: str,
    finding: str,
    boxes: Floats,
    *,
    noun: str = "",
    assertion: str = "present",
    whole: bool = False,
) -> Clause:
    nouns = [noun] if noun else OPACITY_NOUNS if finding == "opacity" else [finding]
    start, end = next((text.index(one), text.index(one) + len(one)) for one in nouns if one in text)
    return Clause(text, (Mention(finding, assertion, start, end, boxes),), whole)


def _joined(first: Clause, link: str, second: Clause) -> Clause:
    by = len(first.text) + len(link)
    mentions = (*first.mentions, *(mention.moved(by) for mention in second.mentions))
    return Clause(first.text + link + second.text, mentions)


def _ended(clause: Clause) -> Clause:
    return Clause(clause.text[0].upper() + clause.text[1:] + ".", clause.mentions, True)


def _denied(rng: np.random.Generator, clause: Clause) -> Clause:
    lead = choose(rng, ("No ", "There is no ", "No evidence of "))
    return _joined(Clause(lead, ()), "", Clause(f"{clause.text}.", clause.mentions))


def _resolved(rng: np.random.Generator) -> Clause:
    side, zone = choose(rng, SIDES_ACROSS_FILM), choose(rng, ("upper lobe", "lower lobe"))
    noun = choose(rng, ("opacity", "infiltrate", "consolidation"))
    text = f"Previously seen {side} {zone} {noun} has resolved."
    return _clause(text, "opacity", NO_BOX, noun=noun, assertion="resolved", whole=True)


def _report(sentences: Sequence[Clause]) -> Description:
    text, mentions = "", list[Mention]()
    for sentence in sentences:
        text += " " if text else ""
        mentions += [mention.moved(len(text)) for mention in sentence.mentions]
        text += sentence.text
    return Description(text, tuple(mentions))
