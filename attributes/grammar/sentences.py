"""Cutting the text of a section into sentences, by character places."""

from __future__ import annotations

import re

from attributes.lexicon.entries import Lexicon

MAX_CHARACTERS = (
    4000  # a "sentence" beyond this is cut at a blank; the grammar cuts further by words
)
# Shorter pieces are item numbers ("2.") and stray marks.
MIN_CHARACTERS = 4


class SentenceSplitter:
    """Cuts text into sentences; a full stop after an abbreviation does not end one."""

    def __init__(self, lexicon: Lexicon) -> None:
        escaped = (re.escape(word) for word in lexicon.syntax.abbreviations)
        not_abbreviated = "".join(rf"(?<!\b(?i:{word})\.)" for word in escaped)
        # A sentence may end at an end mark before a blank, at a full stop before a capital
        # ("effusion.Heart"), at a blank line, and before a line that begins an item ("2. ", "- ").
        # One character class in front lets the search skip fast; all repetition is bounded, so a
        # text of dots or blanks stays linear.
        self._boundary = re.compile(
            rf"[.!?\n](?:(?<=[.!?])[.!?]{{0,5}}(?=[\s\"')\]]|$){not_abbreviated}"
            rf"|(?<=[a-z]\.)(?=[A-Z])"
            rf"|(?<=\n)(?:[ \t\r]{{0,40}}\n|(?=[ \t]{{0,8}}(?:[-*•]|[0-9]{{1,2}}[.)])[ \t])))",
        )

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Half-open character ranges of the sentences that hold more than blanks and numbers."""
        spans: list[tuple[int, int]] = []
        start = 0
        for match in self._boundary.finditer(text):
            end = match.end()
            _add(text, start, end, spans)
            start = end
        _add(text, start, len(text), spans)
        return spans


def _add(text: str, start: int, end: int, spans: list[tuple[int, int]]) -> None:
    """Add the range without blanks around it, in pieces of at most MAX_CHARACTERS."""
    while end - start > MAX_CHARACTERS:
        blank = text.rfind(" ", start + 1, start + MAX_CHARACTERS)
        stop = blank if blank > start else start + MAX_CHARACTERS
        _add(text, start, stop, spans)
        start = stop
    piece = text[start:end]
    left = len(piece) - len(piece.lstrip())
    length = len(piece.strip())
    if length >= MIN_CHARACTERS:
        spans.append((start + left, start + left + length))
