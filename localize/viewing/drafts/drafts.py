"""`draft_films`: sentences for a person to check, each with its evidence and its doubts.

The words for place come from the boxes, the words for texture, extent and severity from the
attribute probabilities. Nothing here is a report: the sentences say what the model's numbers say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from data_manifests.laterality import SIDES, SIDES_ACROSS_FILM, Place, Side, places_of
from data_manifests.support.errors import ConfigError
from localize.prediction.tables import Prediction
from localize.viewing.gallery.cards import (
    DECIMALS,
    Card,
    CardBox,
    Corners,
    film_cards,
    skipped_films,
)

EXTENTS = ("patchy", "focal", "multifocal", "diffuse")
TEXTURES = ("hazy", "streaky", "nodular", "interstitial")
SEVERITIES = ("mild", "moderate", "severe")

Statement = Literal["opacity", "no opacity"]


@dataclass(frozen=True)
class DraftOptions:
    """When something is said, and when it is said to be uncertain.

    The film's own call decides (yes, no; unsure is uncertain). Where it has none, P(pneumonia) of
    at least `present` is an opacity, below `absent` none, between them uncertain.
    Boxes with a score of at least `min_score` are described, the best one also below it; from
    `sure_score` on their place is no reason for doubt. Keywords are used from `min_attribute` on.
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
    """A box that a sentence speaks of; `number` counts the film's boxes from 1, best first."""

    number: int
    xyxy: Corners
    score: float | None
    keywords: tuple[str, ...]


@dataclass(frozen=True)
class Sentence:
    """One draft sentence; it is uncertain exactly where it gives `doubts`."""

    text: str
    statement: Statement
    places: tuple[str, ...]
    is_uncertain: bool
    doubts: tuple[str, ...]
    boxes: tuple[BoxEvidence, ...]
    keywords: Mapping[str, float]


@dataclass(frozen=True)
class FilmDraft:
    """The draft of one film; `to_check` are contradictions between the model's own numbers."""

    image_id: str
    p_pneumonia: float | None
    severity: float | None
    severity_low: float | None
    severity_high: float | None
    sentences: tuple[Sentence, ...]
    to_check: tuple[str, ...]
    skipped: str | None = None


@dataclass(frozen=True)
class _Group:
    """Boxes of one zone on one side, or on both."""

    sides: tuple[Side, ...]
    place: Place
    boxes: tuple[BoxEvidence, ...]

    def words(self) -> str:
        if len(self.sides) == 1:
            return f"the {self.place.words()}"
        return "both lungs" if self.place.zone == "whole" else f"both {self.place.zone} zones"

    def extents(self) -> tuple[str, ...]:
        """The words for extent that can be true of these boxes."""
        excluded = {"multifocal"} if len(self.boxes) == 1 else {"focal"}
        if len(self.sides) == 1 and self.place.zone != "whole":
            excluded.add("diffuse")
        return tuple(word for word in EXTENTS if word not in excluded)


def draft_films(prediction: Prediction, options: DraftOptions | None = None) -> list[FilmDraft]:
    """A draft for each film of a prediction, by falling P(pneumonia); skipped ones last."""
    options = options or DraftOptions()
    keywords = prediction.keywords()
    cards = film_cards(prediction, None, limit=len(prediction.images))
    drafts = [draft_film(card, keywords, options) for card in cards]
    drafts += [
        FilmDraft(film.image_id, None, None, None, None, (), (), skipped=film.error)
        for film in skipped_films(prediction)
    ]
    return drafts


def draft_film(card: Card, keywords: tuple[str, ...], options: DraftOptions) -> FilmDraft:
    """The draft of one film; `keywords` name the probabilities of `card.attributes`."""
    known = {
        name: value
        for name, value in zip(keywords, card.attributes, strict=True)
        if value is not None
    }
    boxes = _described(card.boxes, options)
    best = boxes[0].score if boxes and boxes[0].score is not None else 0.0
    probability = card.p_pneumonia if card.p_pneumonia is not None else best
    is_opacity = {"yes": True, "no": False}.get(card.opacity, probability >= options.absent)
    doubts = _film_doubts(card.opacity, probability, options)
    if not is_opacity and best < options.sure_score:
        sentences: tuple[Sentence, ...] = (_none_found(card, boxes),)
    elif not boxes:
        sentences = (_without_box(known, doubts, options),)
    else:
        groups = _groups(boxes, card, options)
        located = [
            _located(group, known, doubts, options, is_only=len(groups) == 1) for group in groups
        ]
        sentences = (*located, *_overall(located, known, options))
    return FilmDraft(
        image_id=card.id,
        p_pneumonia=card.p_pneumonia,
        severity=card.severity,
        severity_low=card.severity_low,
        severity_high=card.severity_high,
        sentences=sentences,
        to_check=(*_unlike_films(card), *_contradictions(sentences, known, options)),
    )


def _unlike_films(card: Card) -> tuple[str, ...]:
    return (f"the picture {card.warning}",) if card.warning else ()


def _described(boxes: tuple[CardBox, ...], options: DraftOptions) -> tuple[BoxEvidence, ...]:
    """The boxes above the threshold, or the best one."""
    evidence = [
        BoxEvidence(number, box.xyxy, box.score, box.attributes)
        for number, box in enumerate(boxes, start=1)
    ]
    above = [box for box in evidence if (box.score or 0.0) >= options.min_score]
    return tuple((above or evidence[:1])[: options.max_boxes])


def _groups(boxes: tuple[BoxEvidence, ...], card: Card, options: DraftOptions) -> list[_Group]:
    """Boxes by place, the best box's place first.

    The same zone of both lungs is one group, unless one side is sure and the other is not.
    """
    by_place: dict[Place, list[BoxEvidence]] = {}
    places = places_of([box.xyxy for box in boxes], card.width, card.height)
    for box, place in zip(boxes, places, strict=True):
        by_place.setdefault(place, []).append(box)
    groups: list[_Group] = []
    done: set[Place] = set()
    for place, listed in by_place.items():
        if place in done:
            continue
        opposite: Side = "right" if place.side == "left" else "left"
        other = Place(opposite, place.zone)
        if (
            place.side != "central"
            and other in by_place
            and _is_sure(listed, options) == _is_sure(by_place[other], options)
        ):
            done.add(other)
            both = sorted([*listed, *by_place[other]], key=lambda box: box.number)
            groups.append(_Group(SIDES_ACROSS_FILM, place, tuple(both)))
        else:
            groups.append(_Group((place.side,), place, tuple(listed)))
    return groups


def _is_sure(boxes: Sequence[BoxEvidence], options: DraftOptions) -> bool:
    return max(box.score or 0.0 for box in boxes) >= options.sure_score


def _located(
    group: _Group,
    known: Mapping[str, float],
    film_doubts: Sequence[str],
    options: DraftOptions,
    *,
    is_only: bool,
) -> Sentence:
    own = {word for box in group.boxes for word in box.keywords}
    used = _best_words((group.extents(), TEXTURES), known, own, options)
    severity = _best_words((SEVERITIES,), known, own, options) if is_only else {}
    doubts = [*film_doubts, *_box_doubts(group, options)]
    noun = "opacity" if len(group.boxes) == 1 else "opacities"
    text = f"{' '.join([*used, noun]).capitalize()} in {group.words()}"
    text += "".join(f", {word}" for word in severity)
    return Sentence(
        text=_ended(text, doubts),
        statement="opacity",
        places=tuple(Place(side, group.place.zone).words() for side in group.sides),
        is_uncertain=bool(doubts),
        doubts=tuple(doubts),
        boxes=group.boxes,
        keywords=used | severity,
    )


def _overall(
    located: Sequence[Sentence], known: Mapping[str, float], options: DraftOptions
) -> list[Sentence]:
    """The severity, where it belongs to several places together."""
    severity = _best_words((SEVERITIES,), known, set(), options) if len(located) > 1 else {}
    doubts = located[0].doubts
    return [
        Sentence(
            text=_ended(f"Overall {word}", doubts),
            statement="opacity",
            places=(),
            is_uncertain=bool(doubts),
            doubts=doubts,
            boxes=(),
            keywords={word: value},
        )
        for word, value in severity.items()
    ]


def _without_box(
    known: Mapping[str, float], film_doubts: Sequence[str], options: DraftOptions
) -> Sentence:
    used = _best_words((EXTENTS, TEXTURES), known, set(), options)
    severity = _best_words((SEVERITIES,), known, set(), options)
    doubts = [*film_doubts, "no box shows where"]
    text = " ".join([*used, "opacity"]).capitalize() + " without a place"
    return Sentence(
        text=_ended(text + "".join(f", {word}" for word in severity), doubts),
        statement="opacity",
        places=(),
        is_uncertain=True,
        doubts=tuple(doubts),
        boxes=(),
        keywords=used | severity,
    )


def _none_found(card: Card, boxes: tuple[BoxEvidence, ...]) -> Sentence:
    doubts = []
    if card.p_pneumonia is None:
        doubts.append("P(pneumonia) is not known")
    elif card.opacity == "unsure":
        doubts.append(f"the film is called unsure, P(pneumonia) {card.p_pneumonia:.2f}")
    return Sentence(
        text=_ended("No opacity stands out", doubts),
        statement="no opacity",
        places=(),
        is_uncertain=bool(doubts),
        doubts=tuple(doubts),
        boxes=boxes,
        keywords={},
    )


def _best_words(
    axes: tuple[tuple[str, ...], ...],
    known: Mapping[str, float],
    own: set[str],
    options: DraftOptions,
) -> dict[str, float]:
    """The likeliest keyword of each axis; a word that the boxes say themselves goes first."""
    used = {}
    for axis in axes:
        likely = [word for word in axis if known.get(word, 0.0) >= options.min_attribute]
        if likely:
            word = max(likely, key=lambda name: (name in own, known[name]))
            used[word] = known[word]
    return used


def _film_doubts(call: str, probability: float, options: DraftOptions) -> list[str]:
    """What speaks against stating an opacity: the film's call, or P where it has none."""
    if call in ("no", "unsure"):
        return [f"the film is called {call}, P(pneumonia) {probability:.2f}"]
    if call == "yes" or probability >= options.present:
        return []
    if probability >= options.absent:
        return [
            f"P(pneumonia) {_below(probability, options.present)} lies between "
            f"{options.absent:.2f} and {options.present:.2f}"
        ]
    return [f"P(pneumonia) is only {_below(probability, options.absent)}"]


def _below(value: float, bound: float) -> str:
    """Two decimals, or as many as a card has where two would reach the bound."""
    text = f"{value:.2f}"
    return text if float(text) < bound else f"{value:.{DECIMALS}f}"


def _box_doubts(group: _Group, options: DraftOptions) -> list[str]:
    best = max(box.score or 0.0 for box in group.boxes)
    doubts = []
    if not _is_sure(group.boxes, options):
        doubts.append(
            f"the best box score here, {_below(best, options.sure_score)}, "
            f"is below {options.sure_score:.2f}"
        )
    for box in group.boxes:
        stated = set(SIDES) & set(box.keywords)
        if group.place.side != "central" and len(stated) == 1 and not stated & set(group.sides):
            doubts.append(f"box {box.number} answers to the keyword {stated.pop()}")
    return doubts


def _contradictions(
    sentences: tuple[Sentence, ...], known: Mapping[str, float], options: DraftOptions
) -> tuple[str, ...]:
    """Keywords of the film that its sentences contradict."""
    said = " ".join(place for sentence in sentences for place in sentence.places)
    is_empty = all(sentence.statement == "no opacity" for sentence in sentences)
    notes = []
    for side in SIDES:
        probability = known.get(side, 0.0)
        if probability >= options.present and side not in said and not is_empty:
            notes.append(f"keyword {side} is likely ({probability:.2f}), but no box lies there")
    if is_empty:
        likely = [f"{word} ({known[word]:.2f})" for word in known if known[word] >= options.present]
        if likely:
            notes.append(f"likely keywords although no opacity stands out: {', '.join(likely)}")
    return tuple(notes)


def _ended(text: str, doubts: Sequence[str]) -> str:
    return f"{text}; uncertain." if doubts else f"{text}."
