"""Draft sentences from boxes and keyword probabilities.

The words for place come from the boxes, the words for texture, extent and severity from the
probabilities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from data_manifests.laterality import SIDES, SIDES_ACROSS_FILM, Place, Side, places_of
from localize.prediction.film_prediction import FilmPrediction
from localize.viewing.drafts.film_draft import BoxEvidence, DraftOptions, Sentence
from localize.viewing.gallery.cards import DECIMALS

EXTENTS = ("patchy", "focal", "multifocal", "diffuse")
TEXTURES = ("hazy", "streaky", "nodular", "interstitial")
SEVERITIES = ("mild", "moderate", "severe")


@dataclass(frozen=True)
class PlacedBoxes:
    """Boxes of one zone on one side, or on both."""

    sides: tuple[Side, ...]
    place: Place
    boxes: tuple[BoxEvidence, ...]

    def words(self) -> str:
        if len(self.sides) == 1:
            return f"the {self.place.words()}"
        return "both lungs" if self.place.zone == "whole" else f"both {self.place.zone} zones"

    def extents(self) -> tuple[str, ...]:
        """The words for extent that do not contradict these boxes."""
        excluded = {"multifocal"} if len(self.boxes) == 1 else {"focal"}
        if len(self.sides) == 1 and self.place.zone != "whole":
            excluded.add("diffuse")
        return tuple(word for word in EXTENTS if word not in excluded)


def boxes_by_place(
    boxes: tuple[BoxEvidence, ...], film: FilmPrediction, options: DraftOptions
) -> list[PlacedBoxes]:
    """Boxes by place, the best box's place first.

    The same zone of both lungs is one group, unless one side is sure and the other is not.
    """
    by_place: dict[Place, list[BoxEvidence]] = {}
    xyxy = [box.xyxy for box in boxes]
    places = places_of(xyxy, film.boxes.width, film.boxes.height, film.borders)
    for box, place in zip(boxes, places, strict=True):
        by_place.setdefault(place, []).append(box)
    found: list[PlacedBoxes] = []
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
            found.append(PlacedBoxes(SIDES_ACROSS_FILM, place, tuple(both)))
        else:
            found.append(PlacedBoxes((place.side,), place, tuple(listed)))
    return found


def _is_sure(boxes: Sequence[BoxEvidence], options: DraftOptions) -> bool:
    return max(box.score for box in boxes) >= options.sure_score


def place_sentence(
    group: PlacedBoxes,
    known: Mapping[str, float],
    film_doubts: Sequence[str],
    options: DraftOptions,
    *,
    is_only: bool,
) -> Sentence:
    """The sentence on the opacities of one place.

    Args:
        group: the boxes of the place.
        known: the film's keyword probabilities.
        film_doubts: doubts about the whole film.
        options: thresholds.
        is_only: no other place has boxes: the sentence states the severity, too.
    """
    own = {word for box in group.boxes for word in box.keywords}
    used = _best_words((group.extents(), TEXTURES), known, own, options)
    severity = _best_words((SEVERITIES,), known, own, options) if is_only else {}
    doubts = [*film_doubts, *_box_doubts(group, options)]
    noun = "opacity" if len(group.boxes) == 1 else "opacities"
    text = f"{' '.join([*used, noun]).capitalize()} in {group.words()}"
    text += "".join(f", {word}" for word in severity)
    return Sentence(
        text=with_ending(text, doubts),
        statement="opacity",
        places=tuple(Place(side, group.place.zone).words() for side in group.sides),
        is_uncertain=bool(doubts),
        doubts=tuple(doubts),
        boxes=group.boxes,
        keywords=used | severity,
    )


def severity_sentences(
    sentences: Sequence[Sentence], known: Mapping[str, float], options: DraftOptions
) -> list[Sentence]:
    """The severity of several places together."""
    severity = _best_words((SEVERITIES,), known, set(), options) if len(sentences) > 1 else {}
    doubts = sentences[0].doubts
    return [
        Sentence(
            text=with_ending(f"Overall {word}", doubts),
            statement="opacity",
            places=(),
            is_uncertain=bool(doubts),
            doubts=doubts,
            boxes=(),
            keywords={word: value},
        )
        for word, value in severity.items()
    ]


def sentence_without_box(
    known: Mapping[str, float], film_doubts: Sequence[str], options: DraftOptions
) -> Sentence:
    used = _best_words((EXTENTS, TEXTURES), known, set(), options)
    severity = _best_words((SEVERITIES,), known, set(), options)
    doubts = [*film_doubts, "no box shows where"]
    text = " ".join([*used, "opacity"]).capitalize() + " without a place"
    return Sentence(
        text=with_ending(text + "".join(f", {word}" for word in severity), doubts),
        statement="opacity",
        places=(),
        is_uncertain=True,
        doubts=tuple(doubts),
        boxes=(),
        keywords=used | severity,
    )


def _best_words(
    axes: tuple[tuple[str, ...], ...],
    known: Mapping[str, float],
    own: set[str],
    options: DraftOptions,
) -> dict[str, float]:
    """The likeliest keyword of each axis; keywords of the boxes themselves go first."""
    used = {}
    for axis in axes:
        likely = [word for word in axis if known.get(word, 0.0) >= options.min_attribute]
        if likely:
            word = max(likely, key=lambda name: (name in own, known[name]))
            used[word] = known[word]
    return used


def _box_doubts(group: PlacedBoxes, options: DraftOptions) -> list[str]:
    best = max(box.score for box in group.boxes)
    doubts = []
    if not _is_sure(group.boxes, options):
        doubts.append(
            f"the best box score here, {digits_below(best, options.sure_score)}, "
            f"is below {options.sure_score:.2f}"
        )
    for box in group.boxes:
        stated = set(SIDES) & set(box.keywords)
        if group.place.side != "central" and len(stated) == 1 and not stated & set(group.sides):
            doubts.append(f"box {box.number} has the keyword {stated.pop()}")
    return doubts


def with_ending(text: str, doubts: Sequence[str]) -> str:
    return f"{text}; uncertain." if doubts else f"{text}."


def digits_below(value: float, bound: float) -> str:
    """Two decimals, or as many as a card has where two would reach the bound."""
    text = f"{value:.2f}"
    return text if float(text) < bound else f"{value:.{DECIMALS}f}"
