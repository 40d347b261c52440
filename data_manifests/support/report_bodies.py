"""`find_body`: where the description of the film begins after a history on the same line."""

from __future__ import annotations

import re

from data_manifests.support.report_headings import WORD, BodyWords, fold_word

SENTENCE_START = re.compile(r"[.?!;][ \t]{1,5}(?=\w)")
MAX_CHARACTERS = 20_000  # of a line that are looked at
MAX_SENTENCE = 300


def find_body(text: str, start: int, end: int, words: BodyWords, *, is_begun: bool) -> int:
    """The place of the first sentence in `text[start:end]` that describes a film, or -1.

    "History: cough. The lungs are clear." The first sentence belongs to the heading, unless its
    section `is_begun` on a line before.
    """
    if not words.starts and not words.finding_starts:
        return -1
    stop = min(end, start + MAX_CHARACTERS)
    begins = [match.end() for match in SENTENCE_START.finditer(text, start, stop)]
    if is_begun:
        begins.insert(0, start)
    for number, begin in enumerate(begins):
        until = begins[number + 1] if number + 1 < len(begins) else end
        if _describes_film(text[begin : min(until, begin + MAX_SENTENCE)], words):
            return begin
    return -1


def _describes_film(sentence: str, known: BodyWords) -> bool:
    if "?" in sentence:
        return False
    words = [fold_word(word) for word in WORD.findall(sentence)]
    starts = {" ".join(words[:count]) for count in range(1, min(len(words), known.longest) + 1)}
    if not starts.isdisjoint(known.starts):
        return True
    return (
        not starts.isdisjoint(known.finding_starts)
        and not known.findings.isdisjoint(words)
        and known.stops.isdisjoint(words)
    )
