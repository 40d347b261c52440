"""`draft_films`: draft sentences for a person to check, each with its evidence and its doubts.

Nothing here is a report: a sentence repeats what the model's numbers state.
"""

from __future__ import annotations

from collections.abc import Mapping

from data_manifests.laterality import SIDES
from localize.prediction.film_prediction import FilmPrediction, SkippedFilm
from localize.prediction.film_tables import films_of_prediction
from localize.prediction.tables import Prediction
from localize.viewing.drafts.film_draft import BoxEvidence, DraftOptions, FilmDraft, Sentence
from localize.viewing.drafts.sentences import (
    boxes_by_place,
    digits_below,
    place_sentence,
    sentence_without_box,
    severity_sentences,
    with_ending,
)
from localize.viewing.gallery.cards import DECIMALS, rounded


def draft_films(prediction: Prediction, options: DraftOptions | None = None) -> list[FilmDraft]:
    """A draft for each film of a prediction, by falling P(pneumonia); skipped films last."""
    options = options or DraftOptions()
    films = list(films_of_prediction(prediction))
    predicted = [film for film in films if isinstance(film, FilmPrediction)]
    predicted.sort(key=lambda film: -(film.p_pneumonia or 0.0))
    drafts = [draft_film(film, options) for film in predicted]
    return drafts + [
        FilmDraft(film.image_id, None, None, None, None, (), (), skipped=film.error)
        for film in films
        if isinstance(film, SkippedFilm)
    ]


def draft_film(film: FilmPrediction, options: DraftOptions) -> FilmDraft:
    """The draft of one film; its numbers have four decimals."""
    known = {word: round(value, DECIMALS) for word, value in film.shown_attributes().items()}
    p_pneumonia = rounded(film.p_pneumonia)
    boxes = _described(film, options)
    best = boxes[0].score if boxes else 0.0
    probability = best if p_pneumonia is None else p_pneumonia
    is_opacity = {"yes": True, "no": False}.get(film.opacity, probability >= options.absent)
    doubts = _film_doubts(film.opacity, probability, options)
    sentences: tuple[Sentence, ...]
    if not is_opacity and best < options.sure_score:
        sentences = (_none_found(film.opacity, p_pneumonia, boxes),)
    elif not boxes:
        sentences = (sentence_without_box(known, doubts, options),)
    else:
        found = boxes_by_place(boxes, film, options)
        placed = [
            place_sentence(one, known, doubts, options, is_only=len(found) == 1) for one in found
        ]
        sentences = (*placed, *severity_sentences(placed, known, options))
    low, high = film.severity_interval or (None, None)
    unlike = (f"film: {film.warning}",) if film.warning else ()
    return FilmDraft(
        image_id=film.image_id,
        p_pneumonia=p_pneumonia,
        severity=rounded(film.severity),
        severity_low=rounded(low),
        severity_high=rounded(high),
        sentences=sentences,
        to_check=(*unlike, *_contradictions(sentences, known, options)),
    )


def _described(film: FilmPrediction, options: DraftOptions) -> tuple[BoxEvidence, ...]:
    """The boxes above the threshold, or the best one."""
    corners = film.boxes.xyxy.round(2).tolist()
    columns = zip(corners, film.scores.tolist(), film.box_attributes, strict=True)
    evidence = [
        BoxEvidence(number, (x1, y1, x2, y2), round(score, DECIMALS), words)
        for number, ((x1, y1, x2, y2), score, words) in enumerate(columns, start=1)
    ]
    above = [box for box in evidence if box.score >= options.min_score]
    return tuple((above or evidence[:1])[: options.max_boxes])


def _none_found(call: str, p_pneumonia: float | None, boxes: tuple[BoxEvidence, ...]) -> Sentence:
    doubts = []
    if p_pneumonia is None:
        doubts.append("P(pneumonia) is not known")
    elif call == "unsure":
        doubts.append(f"the film is called unsure, P(pneumonia) {p_pneumonia:.2f}")
    return Sentence(
        text=with_ending("No opacity stands out", doubts),
        statement="no opacity",
        places=(),
        is_uncertain=bool(doubts),
        doubts=tuple(doubts),
        boxes=boxes,
        keywords={},
    )


def _film_doubts(call: str, probability: float, options: DraftOptions) -> list[str]:
    """Reasons against an opacity: the film's call, or P(pneumonia) where it has none."""
    if call in ("no", "unsure"):
        return [f"the film is called {call}, P(pneumonia) {probability:.2f}"]
    if call == "yes" or probability >= options.present:
        return []
    if probability >= options.absent:
        return [
            f"P(pneumonia) {digits_below(probability, options.present)} lies between "
            f"{options.absent:.2f} and {options.present:.2f}"
        ]
    return [f"P(pneumonia) is only {digits_below(probability, options.absent)}"]


def _contradictions(
    sentences: tuple[Sentence, ...], known: Mapping[str, float], options: DraftOptions
) -> tuple[str, ...]:
    """Keywords of the film that its sentences contradict."""
    stated = " ".join(place for sentence in sentences for place in sentence.places)
    is_empty = all(sentence.statement == "no opacity" for sentence in sentences)
    notes = []
    for side in SIDES:
        probability = known.get(side, 0.0)
        if probability >= options.present and side not in stated and not is_empty:
            notes.append(f"keyword {side} is likely ({probability:.2f}), but no box lies there")
    if is_empty:
        likely = [f"{word} ({known[word]:.2f})" for word in known if known[word] >= options.present]
        if likely:
            notes.append(f"likely keywords although no opacity stands out: {', '.join(likely)}")
    return tuple(notes)
