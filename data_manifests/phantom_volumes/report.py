"""`write_report`: the report of a phantom volume, with the characters of every anomaly's phrase.

In the templates `[...]` marks the phrase of the anomaly; `{place}`, `{size}` are filled in. A
report names the planted anomalies in several sentences, denies others, some of them of a type that
is present at another place, and describes healthy organs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_manifests.phantom_volumes.anomalies import (
    CALCIFICATION,
    CONSOLIDATION,
    CYST,
    EFFUSION,
    GROUND_GLASS,
    LOBES,
    NODE,
    NODULE,
    Planted,
)

ADJECTIVES = {
    NODULE: ("solid", "spiculated", "well-defined", "lobulated"),
    CONSOLIDATION: ("patchy", "dense", "focal", "large"),
    GROUND_GLASS: ("hazy", "patchy", "ill-defined", "faint"),
}
ONE = {
    NODULE: (
        "There is a {size} mm [nodule] in the {place}.",
        "A {adjective} [nodule] measuring {size} mm is seen in the {place}.",
        "In the {place}, there is a {adjective} [nodule], {size} mm in diameter.",
        "A {size} mm {adjective} pulmonary [nodule] is noted in the {place}.",
    ),
    CONSOLIDATION: (
        "{adjective} [consolidation] is present in the {place}.",
        "In the {place}, there is {adjective} [consolidation].",
        "There is an area of {adjective} [consolidation] in the {place}.",
    ),
    GROUND_GLASS: (
        "{adjective} [ground-glass opacity] in the {place}.",
        "There are {adjective} [ground-glass opacities] in the {place}.",
        "In the {place}, a {adjective} [ground-glass opacity] is seen.",
    ),
    EFFUSION: (
        "There is a {degree} {place} pleural [effusion].",
        "{degree} [pleural effusion] on the {place}.",
        "A {degree} pleural [effusion] is seen on the {place} side.",
    ),
    NODE: (
        "There is an enlarged {place} [lymph node], {size} mm in short axis.",
        "An enlarged {place} [lymph node] measures {size} mm.",
    ),
    CALCIFICATION: (
        "A coarse [calcification] is seen in the {place}.",
        "There is a [calcification] in the {place}.",
    ),
    CYST: (
        "There is a {size} mm [cyst] in the {place}.",
        "A simple [cyst] of {size} mm is noted in the {place}.",
    ),
}
# Two anomalies of one type in one phrase: they are split by their places.
TWO = {
    NODULE: ("[Nodules] are seen in the {place} and in the {other}.",),
    CONSOLIDATION: ("There is [consolidation] in the {place} and the {other}.",),
    GROUND_GLASS: ("[Ground-glass opacities] are present in the {place} and in the {other}.",),
    NODE: ("Enlarged [lymph nodes] are present in the {place} and the {other} region.",),
}
# Two anomalies of different types in one sentence.
JOINED = (
    "There is a {first} in the {place} and a {second} in the {other}.",
    "A {first} is seen in the {place}, and a {second} in the {other}.",
)
JOINABLE = (NODULE, CONSOLIDATION, GROUND_GLASS)
DENIED = {
    NODULE: ("No [nodule] is seen in the {place}.", "There is no pulmonary [nodule]."),
    CONSOLIDATION: ("No [consolidation] in the {place}.", "There is no [consolidation]."),
    GROUND_GLASS: ("No [ground-glass opacity] is present.",),
    EFFUSION: ("No {side} pleural [effusion].", "There is no pleural [effusion]."),
    NODE: ("No enlarged mediastinal [lymph nodes].",),
    CYST: ("No [cyst] is seen in the liver.",),
    "pneumothorax": ("There is no [pneumothorax].",),
    "pericardial effusion": ("No [pericardial effusion].",),
    "mass": ("No mediastinal [mass].", "No [mass] in the liver."),
    "fracture": ("No rib [fracture] is seen.",),
}
HEALTHY = (
    "The heart is normal in size.",
    "The trachea and main bronchi are patent.",
    "The thoracic aorta is normal in caliber.",
    "The visualized spleen is unremarkable.",
    "The chest wall is unremarkable.",
    "The esophagus is normal.",
)
OPENINGS = (
    "CT of the chest without contrast.",
    "Clinical history: cough and fever, question of pneumonia.",
    "Indication: follow-up.",
)


@dataclass(frozen=True)
class Mention:
    """Characters `start` to `end` of the report, and the planted anomaly, or a denied type."""

    start: int
    end: int
    planted: Planted | None
    denied_type: str = ""


@dataclass(frozen=True)
class VolumeReport:
    """A report and the mentions of anomalies in it, in the order of their places."""

    text: str
    mentions: tuple[Mention, ...]


@dataclass(frozen=True)
class _Sentence:
    text: str  # with marked phrases
    planted: tuple[tuple[Planted, ...], ...] = ()  # of each marked phrase, in order
    denied_type: str = ""


def write_report(rng: np.random.Generator, planted: Sequence[Planted]) -> VolumeReport:
    """Describe the anomalies in an order of their own, between denials and healthy organs."""
    sentences = [*_positive(rng, planted), *_negative(rng, planted)]
    for text in rng.permutation(HEALTHY)[: rng.integers(1, 4)]:
        sentences.append(_Sentence(str(text)))
    ordered = [sentences[place] for place in rng.permutation(len(sentences))]
    text = f"{rng.choice(OPENINGS)}\nFindings: "
    mentions: list[Mention] = []
    for sentence in ordered:
        text, found = _append(text, sentence)
        mentions += found
    return VolumeReport(text.rstrip(), tuple(mentions))


def _positive(rng: np.random.Generator, planted: Sequence[Planted]) -> list[_Sentence]:
    rest = list(planted)
    sentences = []
    while rest:
        one = rest.pop(0)
        twin = next((item for item in rest if item.type == one.type and one.type in TWO), None)
        partner = next((item for item in rest if {item.type, one.type} <= set(JOINABLE)), None)
        if twin is not None and rng.random() < 0.35:
            rest.remove(twin)
            text = str(rng.choice(TWO[one.type])).format(place=one.place, other=twin.place)
            sentences.append(_Sentence(text, ((one, twin),)))
        elif partner is not None and rng.random() < 0.4:
            rest.remove(partner)
            text = str(rng.choice(JOINED)).format(
                first=_phrase(rng, one), second=_phrase(rng, partner),
                place=one.place, other=partner.place,
            )  # fmt: skip
            sentences.append(_Sentence(text, ((one,), (partner,))))
        else:
            sentences.append(_Sentence(_fill(rng, str(rng.choice(ONE[one.type])), one), ((one,),)))
    return sentences


def _phrase(rng: np.random.Generator, one: Planted) -> str:
    if one.type == NODULE:
        return f"{one.size_mm} mm [nodule]"
    noun = "ground-glass opacity" if one.type == GROUND_GLASS else one.type
    return f"{rng.choice(ADJECTIVES[one.type])} [{noun}]"


def _fill(rng: np.random.Generator, template: str, one: Planted) -> str:
    degree = "small" if one.size_mm < 30 else "moderate" if one.size_mm < 40 else "large"
    adjective = str(rng.choice(ADJECTIVES.get(one.type, ("",))))
    text = template.format(place=one.place, size=one.size_mm, degree=degree, adjective=adjective)
    return text[:1].upper() + text[1:]


def _negative(rng: np.random.Generator, planted: Sequence[Planted]) -> list[_Sentence]:
    present = {one.type for one in planted}
    used = {one.place for one in planted}
    sentences = []
    for kind in rng.permutation(list(DENIED))[: rng.integers(2, 5)]:
        kind = str(kind)
        free = [lobe for lobe in LOBES if not any(lobe in place for place in used)]
        texts = [text for text in DENIED[kind] if kind not in present or "{place}" in text]
        if "lingula" in used:
            free = [lobe for lobe in free if lobe != "left upper lobe"]
        if not texts or not free:
            continue
        text = str(rng.choice(texts)).format(
            place=rng.choice(free), side=rng.choice(["right", "left"])
        )
        sentences.append(_Sentence(text, denied_type=kind))
    return sentences


def _append(text: str, sentence: _Sentence) -> tuple[str, list[Mention]]:
    """The text with a sentence at its end, and the mentions in it."""
    mentions: list[Mention] = []
    phrases = 0
    for position, part in enumerate(sentence.text.replace("]", "[").split("[")):
        if position % 2 == 0:
            text += part
            continue
        start, text = len(text), text + part
        if sentence.denied_type:
            mentions.append(Mention(start, len(text), None, sentence.denied_type))
        else:
            mentions += [Mention(start, len(text), one) for one in sentence.planted[phrases]]
        phrases += 1
    return text + " ", mentions
