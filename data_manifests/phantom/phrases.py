"""Noun phrases for the planted opacity: every word in them is true of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_manifests.phantom.truth import RegionTruth, Truth


@dataclass(frozen=True)
class Phrase:
    """A piece of text and the keywords that it states."""

    text: str
    words: frozenset[str]


SEVERITY_WORDS = {
    "mild": ("mild", "minimal", "slight", "mild"),
    "moderate": ("moderate",),
    "severe": ("severe", "marked", "massive", "large", "severe"),
}
TEXTURE_WORDS = {
    "dense": ("",),
    "patchy": ("patchy",),
    "interstitial": ("interstitial", "reticular", "interstitial"),
    "streaky": ("streaky", "linear", "strandy"),
    "nodular": ("nodular", "rounded", "nodular"),
    "hazy": ("hazy", "ground-glass", "ill-defined", "faint", "vague", "subtle", "indistinct"),
}
EXTENT_WORDS = {
    "focal": ("focal", "localized"),
    "multifocal": ("multifocal", "scattered", "multiple"),
    "diffuse": ("diffuse", "widespread", "generalized"),
}
NOUNS = {
    "dense": (
        "consolidation",
        "airspace opacity",
        "infiltrate",
        "airspace consolidation",
        "opacity",
    ),
    "hazy": ("opacity", "opacification", "airspace opacity"),
    "patchy": ("opacity", "infiltrate", "airspace opacity", "consolidation"),
    "interstitial": ("opacity", "infiltrate"),
    "streaky": ("opacity",),
    "nodular": ("opacity", "infiltrate"),
}
PLURALS = {
    "consolidation": "consolidations",
    "airspace opacity": "airspace opacities",
    "infiltrate": "infiltrates",
    "airspace consolidation": "airspace consolidations",
    "opacity": "opacities",
    "opacification": "opacities",
}
# A zone as an adjective before the noun ({side} is filled in) and as a place after it.
PLACE_ADJECTIVES = {
    "apical": ("{side} apical",),
    "basal": ("{side} basilar", "{side} basal"),
    "perihilar": ("{side} perihilar", "{side} parahilar"),
    "lingular": ("lingular", "{side} lingular"),
    "retrocardiac": ("retrocardiac", "{side} retrocardiac"),
    "upper": ("{side} upper lobe", "{side} upper lung", "{side} upper zone", "{SHORT}"),
    "middle": ("{side} mid lung", "{side} midzone", "{side} middle zone"),
    "lower": ("{side} lower lobe", "{side} lower lung", "{side} lower zone", "{SHORT}"),
}
PLACES_AFTER = {
    "apical": ("at the {side} apex", "in the {side} lung apex"),
    "basal": ("at the {side} base", "at the {side} lung base"),
    "perihilar": ("about the {side} hilum", "in the {side} perihilar region"),
    "lingular": ("in the lingula",),
    "retrocardiac": ("in the retrocardiac region", "in the {side} retrocardiac region"),
    "upper": ("in the {side} upper lobe", "in the {side} upper lung zone", "in the {SHORT}"),
    "middle": ("in the {side} midlung", "in the {side} mid lung zone"),
    "lower": ("in the {side} lower lobe", "in the {side} lower lung zone", "in the {SHORT}"),
}
RIGHT_MIDDLE = ("right middle lobe", "RML")
BOTH_ADJECTIVES = {
    "apical": ("biapical", "bilateral apical"),
    "basal": ("bibasilar", "bibasal", "bilateral basilar"),
    "perihilar": ("bilateral perihilar",),
    "upper": ("bilateral upper lobe", "bilateral upper lung"),
    "middle": ("bilateral mid lung", "bilateral midzone"),
    "lower": ("bilateral lower lobe", "bilateral lower lung"),
}
BOTH_AFTER = {
    "apical": ("at both apices",),
    "basal": ("at both lung bases", "in both bases"),
    "perihilar": ("about both hila",),
    "upper": ("in both upper lobes",),
    "middle": ("in both midlungs",),
    "lower": ("in both lower lobes",),
}
SHORT = {("right", "upper"): "RUL", ("left", "upper"): "LUL",
         ("right", "lower"): "RLL", ("left", "lower"): "LLL"}  # fmt: skip


def choose(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    """One of the options, evenly."""
    return options[int(rng.integers(len(options)))]


def whole_phrase(rng: np.random.Generator, truth: Truth, *, detail: float) -> Phrase:
    """All of the opacity in one noun phrase; each attribute is said with probability `detail`."""
    is_plural = len(truth.regions) > 1 or (truth.extent == "diffuse" and rng.random() < 0.7)
    before: list[Phrase] = []
    if rng.random() < detail * 0.8:
        before.append(_severity(rng, truth))
    if rng.random() < detail and not (before and before[-1].text in ("large", "massive")):
        before.append(_extent(rng, truth))
    if rng.random() < detail + 0.15:
        before.append(_texture(rng, truth.texture))
    place, is_after = _whole_place(rng, truth)
    return _assemble(rng, truth.texture, before, place, is_after, is_plural)


def region_phrase(rng: np.random.Generator, truth: Truth, region: RegionTruth) -> Phrase:
    """One region of several: its place and texture, nothing about the film as a whole."""
    before = [_texture(rng, truth.texture)] if rng.random() < 0.6 else []
    place, is_after = _region_place(rng, region)
    return _assemble(rng, truth.texture, before, place, is_after, is_plural=False)


def _assemble(
    rng: np.random.Generator,
    texture: str,
    before: list[Phrase],
    place: Phrase,
    is_after: bool,
    is_plural: bool,
) -> Phrase:
    noun = choose(rng, NOUNS[texture])
    if is_plural:
        noun = PLURALS[noun]
    pieces = [piece.text for piece in before if piece.text]
    pieces += [noun, place.text] if is_after else [place.text, noun]
    words = frozenset().union(place.words, *(piece.words for piece in before))
    return Phrase(" ".join(piece for piece in pieces if piece), words)


def _severity(rng: np.random.Generator, truth: Truth) -> Phrase:
    word = next(w for w in ("mild", "moderate", "severe") if w in truth.keywords)
    if word == "severe" and truth.extent == "diffuse" and rng.random() < 0.3:
        return Phrase("extensive", frozenset({"severe", "diffuse"}))
    return Phrase(choose(rng, SEVERITY_WORDS[word]), frozenset({word}))


def _extent(rng: np.random.Generator, truth: Truth) -> Phrase:
    return Phrase(choose(rng, EXTENT_WORDS[truth.extent]), frozenset({truth.extent}))


def _texture(rng: np.random.Generator, texture: str) -> Phrase:
    words = frozenset() if texture == "dense" else frozenset({texture})
    return Phrase(choose(rng, TEXTURE_WORDS[texture]), words)


def _whole_place(rng: np.random.Generator, truth: Truth) -> tuple[Phrase, bool]:
    """Where the opacity lies as a whole, and whether the words go after the noun."""
    sides = sorted({region.side for region in truth.regions}, reverse=True)
    if len(truth.regions) == 1 and truth.extent != "diffuse":
        return _region_place(rng, truth.regions[0])
    is_after = bool(rng.random() < 0.45)
    if len(sides) == 2:
        shared = _shared_zones(truth)
        if shared and truth.extent != "diffuse" and rng.random() < 0.8:
            zone = shared[int(rng.integers(len(shared)))]
            table = BOTH_AFTER if is_after else BOTH_ADJECTIVES
            return Phrase(choose(rng, table[zone]), frozenset({"bilateral", zone})), is_after
        if not is_after:
            return Phrase("bilateral", frozenset({"bilateral"})), False
        if truth.extent == "diffuse" and rng.random() < 0.5:
            return Phrase("throughout both lungs", frozenset({"bilateral", "diffuse"})), True
        return Phrase("in both lungs", frozenset({"bilateral"})), True
    side = sides[0]
    if truth.extent == "diffuse" and rng.random() < 0.5:
        return Phrase(f"throughout the {side} lung", frozenset({side, "diffuse"})), True
    thirds = sorted({third for region in truth.regions for third in region.thirds}, reverse=True)
    if truth.extent != "diffuse" and len(thirds) == 2 and rng.random() < 0.6:
        first, second = (_THIRD_NAMES[third] for third in thirds)
        return Phrase(f"in the {side} {first} and {second} lung", frozenset({side, *thirds})), True
    if is_after:
        return Phrase(f"in the {side} lung", frozenset({side})), True
    return Phrase(choose(rng, (f"{side} lung", f"{side}-sided")), frozenset({side})), False


_THIRD_NAMES = {"upper": "upper", "middle": "mid", "lower": "lower"}


def _shared_zones(truth: Truth) -> list[str]:
    """Zones that all regions have, the finest if there is one; true of both lungs."""
    common = set(truth.regions[0].thirds) | set(truth.regions[0].places)
    for region in truth.regions[1:]:
        common &= set(region.thirds) | set(region.places)
    fine = sorted(common & {"apical", "basal", "perihilar"})
    return fine or sorted(common & set(BOTH_AFTER))


def _region_place(rng: np.random.Generator, region: RegionTruth) -> tuple[Phrase, bool]:
    """Where one region lies. One of its zones is said, at times two neighbouring thirds."""
    side = region.side
    is_after = bool(rng.random() < 0.45)
    if len(region.thirds) == 2 and not region.places and rng.random() < 0.4:
        first, second = (_THIRD_NAMES[third] for third in region.thirds)
        words = frozenset({side, *region.thirds})
        return Phrase(f"in the {side} {first} and {second} lung", words), True
    zones = region.places if region.places and rng.random() < 0.75 else region.thirds
    zone = zones[int(rng.integers(len(zones)))]
    templates = (PLACES_AFTER if is_after else PLACE_ADJECTIVES)[zone]
    if zone == "middle" and side == "right" and rng.random() < 0.5:
        lobe = choose(rng, RIGHT_MIDDLE)
        text = f"in the {lobe}" if is_after else lobe
        return Phrase(text, frozenset({"right", "middle"})), is_after
    template = choose(rng, templates)
    says_side = "{side}" in template or "{SHORT}" in template
    text = template.format(side=side, SHORT=SHORT.get((side, zone), ""))
    return Phrase(text, frozenset({zone, side} if says_side else {zone})), is_after
