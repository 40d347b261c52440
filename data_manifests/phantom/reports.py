"""Reports of phantom films: the same case in many words, and what those words state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_manifests.laterality import SIDES_ACROSS_FILM
from data_manifests.phantom.anatomy import Anatomy
from data_manifests.phantom.other_sentences import (
    atelectasis_phrase,
    clear_sentences,
    distractor_sentences,
    effusion_phrase,
    indication,
    other_lung_sentence,
    resolved_sentence,
    routine_sentences,
)
from data_manifests.phantom.phrases import Phrase, choose, region_phrase, whole_phrase
from data_manifests.phantom.plan import Distractors
from data_manifests.phantom.truth import Truth

NOTHING: frozenset[str] = frozenset()

PLAIN_FRAMES = ("{}.", "There is {a}.", "{} is present.", "{} noted.", "There is {a}.", "{}.")
PLURAL_FRAMES = ("{}.", "There are {}.", "{} are present.", "{} are noted.", "There are {}.", "{}.")
HEDGED_FRAMES = ("Possible {}.", "Questionable {}.", "Cannot exclude {a}.", "Suspected {}.")
CAUSES = (
    ", consistent with pneumonia",
    ", concerning for pneumonia",
    " which may represent pneumonia",
    ", compatible with infection",
    ", likely infectious",
)
NORMAL_IMPRESSIONS = (
    "No acute cardiopulmonary abnormality.",
    "No acute cardiopulmonary process.",
    "No evidence of pneumonia.",
    "No acute disease.",
)


@dataclass(frozen=True)
class Section:
    """One section of a report."""

    name: str  # indication, findings or impression
    text: str


@dataclass(frozen=True)
class Report:
    """A report with what it states of the opacity: 22-keyword sets, subsets of the film's truth."""

    sections: tuple[Section, ...]
    mentioned: frozenset[str]  # stated, hedged statements included
    hedged: frozenset[str]  # stated in hedged sentences only

    @property
    def text(self) -> str:
        """All sections with their headings."""
        return "\n".join(f"{s.name.upper()}: {s.text}" for s in self.sections)


@dataclass(frozen=True)
class _Said:
    text: str
    firm: frozenset[str] = NOTHING
    hedged: frozenset[str] = NOTHING


def write_report(
    rng: np.random.Generator,
    truth: Truth,
    plan: Distractors,
    anatomy: Anatomy,
    *,
    low_volumes: bool = False,
) -> Report:
    """Describe one film: what is written of the opacity is true, but not everything is written."""
    reason = indication(rng, anatomy)
    if truth.has_opacity:
        findings, impression = _with_opacity(rng, truth, plan, low_volumes=low_volumes)
    else:
        findings, impression = _without_opacity(rng, plan, low_volumes=low_volumes)
    layout = rng.random()  # some reports have one section only, as in real life
    keep_findings, keep_impression = layout > 0.08, layout < 0.90
    sections = [Section("indication", reason)] if rng.random() < 0.85 else []
    kept: list[_Said] = []
    for name, sentences, is_kept in (
        ("findings", findings, keep_findings),
        ("impression", impression, keep_impression),
    ):
        if is_kept:
            sections.append(Section(name, " ".join(said.text for said in sentences)))
            kept += sentences
    firm = NOTHING.union(*(said.firm for said in kept))
    hedged = NOTHING.union(*(said.hedged for said in kept))
    return Report(tuple(sections), firm | hedged, hedged - firm)


def _with_opacity(
    rng: np.random.Generator, truth: Truth, plan: Distractors, *, low_volumes: bool
) -> tuple[list[_Said], list[_Said]]:
    is_hedged = bool(rng.random() < 0.15)
    aside = distractor_sentences(rng, plan)
    main = _opacity_sentences(rng, truth, plan, is_hedged)
    rest = [_Said(text) for text in aside + routine_sentences(rng, plan, low_volumes=low_volumes)]
    other = other_lung_sentence(rng, truth, plan)
    if other and rng.random() < 0.45:
        main.append(_Said(other))
    elif other and rng.random() < 0.10:
        clear = "left" if "right" in truth.keywords else "right"
        rest.append(_Said(resolved_sentence(rng, clear)))
    split = int(rng.integers(len(rest) + 1))
    findings = rest[:split] + main + rest[split:]
    short = whole_phrase(rng, truth, detail=0.40)
    impression = [_state(rng, short, is_hedged, with_cause=True, is_single=len(truth.regions) == 1)]
    if aside and rng.random() < 0.4:
        impression.append(_Said(aside[0]))
    return findings, impression


def _opacity_sentences(
    rng: np.random.Generator, truth: Truth, plan: Distractors, is_hedged: bool
) -> list[_Said]:
    """One sentence about everything, or one for each region."""
    is_single = len(truth.regions) == 1
    by_region = not is_single and truth.extent != "diffuse" and rng.random() < 0.45
    if not by_region:
        phrase = whole_phrase(rng, truth, detail=0.65)
        tail = ""
        if plan.effusion_side is not None and rng.random() < 0.30:
            tail = f" with {effusion_phrase(rng, plan)}"
        elif plan.atelectasis_side is not None and rng.random() < 0.25:
            tail = f" and {atelectasis_phrase(rng, plan)}"
        if tail:
            return [_Said(_capital(f"{phrase.text}{tail}."), firm=phrase.words)]
        return [_state(rng, phrase, is_hedged, with_cause=False, is_single=is_single)]
    said: list[_Said] = []
    for number, region in enumerate(truth.regions):
        phrase = region_phrase(rng, truth, region)
        if number == 0:
            said.append(_state(rng, phrase, is_hedged, with_cause=False, is_single=True))
        else:
            lead = choose(rng, ("There is also {a}.", "Additional {}.", "Further {}."))
            said.append(_Said(_fill(lead, phrase.text), firm=phrase.words))
    return said


def _without_opacity(
    rng: np.random.Generator, plan: Distractors, *, low_volumes: bool
) -> tuple[list[_Said], list[_Said]]:
    aside = distractor_sentences(rng, plan)
    sentences = (
        clear_sentences(rng, plan) + aside + routine_sentences(rng, plan, low_volumes=low_volumes)
    )
    if rng.random() < 0.05:
        sentences.append(resolved_sentence(rng, choose(rng, SIDES_ACROSS_FILM)))
    order = rng.permutation(len(sentences))
    findings = [_Said(sentences[int(k)]) for k in order]
    impression = [_Said(choose(rng, NORMAL_IMPRESSIONS))]
    if aside and rng.random() < 0.5:
        impression.insert(0, _Said(aside[0]))
    return findings, impression


def _state(
    rng: np.random.Generator, phrase: Phrase, is_hedged: bool, *, with_cause: bool, is_single: bool
) -> _Said:
    """A sentence that states the phrase, firmly or hedged."""
    if is_hedged and rng.random() < 0.7:
        return _Said(_fill(choose(rng, HEDGED_FRAMES), phrase.text), hedged=phrase.words)
    if with_cause and rng.random() < 0.6:
        return _Said(_capital(f"{phrase.text}{choose(rng, CAUSES)}."), firm=phrase.words)
    is_plural = _is_plural(phrase.text)
    frames = PLURAL_FRAMES if is_plural and not is_single else PLAIN_FRAMES
    if is_plural:
        frames = PLURAL_FRAMES
    return _Said(_fill(choose(rng, frames), phrase.text), firm=phrase.words)


def _is_plural(text: str) -> bool:
    plurals = ("opacities", "infiltrates", "consolidations")
    return any(word in text.split() for word in plurals)


def _fill(frame: str, phrase: str) -> str:
    article = "" if _is_plural(phrase) else "an " if phrase[0].lower() in "aeiou" else "a "
    if phrase.split()[0] in ("RUL", "RML", "RLL"):
        article = "an "
    return _capital(frame.format(phrase, a=article + phrase))


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
