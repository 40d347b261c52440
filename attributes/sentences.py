"""Cutting the text of a section into sentences, by character places."""

from __future__ import annotations

import re
from collections.abc import Iterator

from attributes.lexicon import Lexicon
from attributes.tokens import fold

# Where a sentence may end: a full stop before a blank, before a capital ("effusion.Heart") or at the
# end; other end marks; a blank line; a new line that begins an item ("2. ", "- ").
BOUNDARY = re.compile(
    r"[.!?]+(?=[\s\"')\]]|$)|(?<=[a-z])\.(?=[A-Z])|\n[ \t\r]*\n|\n(?=[ \t]{0,8}(?:[-*•]|[0-9]{1,2}[.)])[ \t])"
)
LAST_WORD = re.compile(r"[A-Za-zÀ-ɏ.]{1,12}$")
MAX_CHARACTERS = (
    4000  # a "sentence" beyond this is cut at a blank; the grammar cuts further by words
)


class SentenceSplitter:
    """Cuts text into sentences; a full stop after an abbreviation of the lexicon does not end one."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._abbreviations = frozenset(fold(word) for word in lexicon.syntax.abbreviations)

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Half-open character ranges of the sentences that hold more than blanks and numbers."""
        start = 0
        for match in BOUNDARY.finditer(text):
            end = match.end()
            if match.group() == "." and self._is_abbreviation(text, match.start()):
                continue
            yield from _cut(text, start, end)
            start = end
        yield from _cut(text, start, len(text))

    def _is_abbreviation(self, text: str, stop: int) -> bool:
        found = LAST_WORD.search(text, max(0, stop - 12), stop)
        return found is not None and fold(found.group()) in self._abbreviations


def _cut(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The range without blanks around it, in pieces of at most MAX_CHARACTERS."""
    while start < end:
        stop = end
        if end - start > MAX_CHARACTERS:
            blank = text.rfind(" ", start + 1, start + MAX_CHARACTERS)
            stop = blank if blank > start else start + MAX_CHARACTERS
        piece = text[start:stop]
        stripped = piece.strip()
        # Item numbers ("2.") and stray marks are no sentences.
        if len(stripped) > 3:
            first = start + piece.index(stripped[0])
            yield first, first + len(stripped)
        start = stop
