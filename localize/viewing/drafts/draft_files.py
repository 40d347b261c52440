"""`drafts_as_text`, `drafts_as_json`: drafts as the content of a file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from localize.viewing.drafts.film_draft import BoxEvidence, DraftOptions, FilmDraft, Sentence

FORMAT_VERSION = 1
NOTICE = (
    "Draft sentences for a person to check: not a report, not a diagnosis. Made by a model from "
    "the film alone. Research use only: not a medical device."
)


def drafts_as_json(drafts: Sequence[FilmDraft], options: DraftOptions, model: str) -> str:
    """JSON with all evidence; `model` names the bundle."""
    content = {
        "format_version": FORMAT_VERSION,
        "notice": NOTICE,
        "model": model,
        "options": asdict(options),
        "films": [asdict(draft) for draft in drafts],
    }
    return json.dumps(content, indent=2, allow_nan=False, ensure_ascii=True) + "\n"


def drafts_as_text(drafts: Sequence[FilmDraft], model: str) -> str:
    """Plain text with one block a film."""
    lines = [NOTICE, f"Model: {_one_line(model)}", ""]
    for draft in drafts:
        lines += [*_film_lines(draft), ""]
    return "\n".join(lines)


def _film_lines(draft: FilmDraft) -> Iterator[str]:
    yield f"FILM {_one_line(draft.image_id)}"
    if draft.skipped is not None:
        yield f"  Not drafted: {_one_line(draft.skipped)}"
        return
    yield "DRAFT"
    for number, sentence in enumerate(draft.sentences, start=1):
        yield f"  {number}. {sentence.text}"
    yield "EVIDENCE"
    for number, sentence in enumerate(draft.sentences, start=1):
        yield f"  {number}. {_evidence(sentence)}"
    yield f"  Film: {_film_numbers(draft)}"
    doubts = [
        f"  {number}. {doubt}"
        for number, sentence in enumerate(draft.sentences, start=1)
        for doubt in sentence.doubts
    ]
    if doubts:
        yield "UNCERTAIN BECAUSE"
        yield from doubts
    if draft.to_check:
        yield "TO CHECK"
        yield from (f"  - {note}" for note in draft.to_check)


def _evidence(sentence: Sentence) -> str:
    parts = [_box(box) for box in sentence.boxes] or ["no box"]
    if sentence.keywords:
        parts.append(", ".join(f"{word} {value:.2f}" for word, value in sentence.keywords.items()))
    return "; ".join(parts)


def _box(box: BoxEvidence) -> str:
    corners = ", ".join(f"{value:.0f}" for value in box.xyxy)
    words = f", keywords {_one_line(' '.join(box.keywords))}" if box.keywords else ""
    return f"box {box.number} at [{corners}] with score {box.score:.2f}{words}"


def _film_numbers(draft: FilmDraft) -> str:
    p = "unknown" if draft.p_pneumonia is None else f"{draft.p_pneumonia:.2f}"
    text = f"P(pneumonia) {p}"
    if draft.severity is not None:
        text += f", severity {draft.severity:.1f}"
        if draft.severity_low is not None and draft.severity_high is not None:
            text += f" (90 % interval {draft.severity_low:.1f} to {draft.severity_high:.1f})"
    return text


def _one_line(text: str) -> str:
    """Text without control characters, which could forge a line."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
