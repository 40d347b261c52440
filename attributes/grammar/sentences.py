"""`SentenceSplitter`: cuts the text of a section into sentences.

A full stop may belong to an abbreviation. A single line break may end a statement ("No effusion" /
"Left basal opacity") or wrap a line; the words around it and the length of the line decide.
"""

from __future__ import annotations

import re

from attributes.lexicon.entries import Lexicon
from attributes.lexicon.tokens import fold, words_of

MAX_CHARACTERS = 4000  # longer "sentences" are cut at a blank; the grammar cuts further by words
# Shorter pieces are item numbers ("2.") and stray marks.
MIN_CHARACTERS = 3
# A line of this many characters may have been wrapped, also in front of a capital.
MIN_WRAPPED_LINE = 50
MAX_LINE = 300  # characters of a line that are looked at
LAST_WORD = re.compile(r"[^\W\d_]+$")
LINE_END = re.compile(r"[\r\n]")
FIRST_WORD = re.compile(r"[^\W\d_]{1,40}")
# "1) No pneumothorax 2) Small effusion": an item inside a line.
INNER_ITEM = re.compile(r"(?<=[ \t])\(?[0-9]{1,2}\)[ \t]+(?=[A-Z])")
# "Effusion: left   Edema: mild": a label after wide blanks inside a line.
WORDS_OF_LABEL = r"[A-Z][^\W\d_]{1,30}(?:[ ][^\W\d_]{1,20}){0,3}:"
INNER_LABEL = rf"[^\s:][ \t]{{2,20}}(?={WORDS_OF_LABEL})"
LABEL = re.compile(r"[^\W\d_][\w ,/()-]{1,40}:")
ITEM = re.compile(r"[-*•>–]+[ \t]*(?=\w)|\(?[0-9]{1,2}[.)](?!\d)|[a-h]\)")


class SentenceSplitter:
    """Cuts text into sentences with the abbreviations and small words of a lexicon."""

    def __init__(self, lexicon: Lexicon) -> None:
        syntax = lexicon.syntax
        by_length: dict[int, list[str]] = {}
        for word in syntax.abbreviations:
            by_length.setdefault(len(word), []).append(re.escape(word))
        not_abbreviated = "".join(
            rf"(?<!\b(?i:{'|'.join(words)})\.)" for words in by_length.values()
        )
        answers = "|".join(re.escape(word) for word in syntax.answers) or r"(?!)"
        # A sentence may end at an end mark before a blank ("Effusion? No." is one sentence), at a
        # full stop before a capital ("effusion.Heart"), at an item number inside a line, and at a
        # line break. All repetition is bounded, so that time is linear in any text.
        self._boundary = re.compile(
            rf"[.!?\n\r](?:(?<=[.!?])[.!?]{{0,5}}(?=[\s\"')\]*]|$)(?<!\s\?){not_abbreviated}"
            rf"(?!(?<=\.\.\.)[ \t]{{0,3}}[a-z])"
            rf"(?!(?<=\?)[ \t]{{0,3}}(?i:{answers})[ \t]{{0,3}}(?:[.,;\n\r]|$))"
            rf"|(?<=[a-z]\.)(?=[A-Z])|(?<=\n)|(?<=\r)(?!\n))"
        )
        # ... and after an answer ("Effusion: none Edema: mild").
        self._inner_label = re.compile(
            rf":[ \t]{{0,3}}(?i:{answers})[,;]?[ \t]{{1,5}}(?={WORDS_OF_LABEL})|{INNER_LABEL}"
        )
        before = (
            *syntax.prepositions,
            *syntax.of,
            *syntax.articles,
            *syntax.determiners,
            *syntax.coordinators,
            *syntax.alternatives,
            *syntax.companions,
            *syntax.verbs,
        )
        forward = (
            spelling
            for rule in lexicon.rules
            if rule.direction in ("forward", "both", "value")
            for spelling in rule.spellings
        )
        # A short line in front of such a word is complete ("Small effusion" / "no pneumothorax").
        self._denies = frozenset(
            spelling[0]
            for rule in lexicon.rules
            if rule.kind == "negation" and rule.direction == "value"
            for spelling in rule.spellings
            if len(spelling) == 1
        )
        findings = lexicon.findings
        nouns = [s for kind in findings for s in (*kind.spellings, *kind.predicates)]
        subjects = [s for kind in findings for s in (*kind.spellings, *kind.subjects)]
        attributes = [s for variants in lexicon.variants_of.values() for s in variants]
        attributes += [s for item in lexicon.compounds for s in item.spellings]
        # "no effusion" / "basal atelectasis": a line that ends with a noun, one that begins anew.
        self._ends_item = frozenset(s[-1] for s in (*nouns, *lexicon.others))
        self._begins_item = frozenset(s[0] for s in (*subjects, *attributes))
        # Words after which a sentence goes on: no line that ends with one is complete.
        self._goes_on = frozenset(
            spelling[0] for spelling in (*before, *forward) if len(spelling) == 1
        )

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Half-open character ranges of the sentences that hold more than blanks and numbers."""
        spans: list[tuple[int, int]] = []
        start = 0
        inner_items = self._inner_items(text)
        in_lower_case: bool | None = None
        for match in self._boundary.finditer(text):
            at, end = match.span()
            if text[at] in "\n\r":
                if at == start:
                    start = end  # an empty line
                    continue
                if in_lower_case is None:
                    in_lower_case = not any(
                        line.lstrip()[:1].isupper() for line in text[:MAX_CHARACTERS].split("\n")
                    )
                if not self._ends_statement(text, start, at, end, in_lower_case):
                    continue
            elif text[at] == "?" and text[start:end].strip() in ("?", "(?"):
                continue  # "? effusion"
            if inner_items:
                start = _add_items(text, start, end, inner_items, spans)
            else:
                _add(text, start, end, spans)
                start = end
        _add_items(text, start, len(text), inner_items, spans)
        return spans

    def _inner_items(self, text: str) -> list[int]:
        """Places inside of lines where an item or a label begins, last first."""
        items = [match.start() for match in INNER_ITEM.finditer(text)] if ") " in text else []
        if text.count(":") > 1:
            items += [match.end() for match in self._inner_label.finditer(text)]
            items.sort()
        return items[::-1]

    def _ends_statement(
        self, text: str, start: int, stop: int, after: int, in_lower_case: bool
    ) -> bool:
        """Whether the line break at `stop` ends the statement that began at `start`."""
        line_start = max(text.rfind("\n", start, stop) + 1, start, stop - MAX_LINE)
        line = text[line_start:stop].strip()
        following = text[after : after + MAX_LINE].lstrip(" \t")
        if not line or following[:1] in ("\n", "\r", ""):
            return True
        if ITEM.match(following):
            return True
        last = LAST_WORD.search(line.rstrip(")]"))
        goes_on = line[-1] in ",-/&(" or (last is not None and fold(last.group()) in self._goes_on)
        if goes_on and not self._is_answer(line):
            return False
        if line[-1] == ":":
            return bool(LABEL.match(following))
        if LABEL.match(following):
            return True
        first = FIRST_WORD.match(following)
        if first is None:
            return False
        word = first.group()
        if word[0].islower():
            is_short = len(line) < MIN_WRAPPED_LINE
            return is_short and (
                in_lower_case
                or fold(word) in self._denies
                or (last is not None and self._is_new_item(last.group(), following))
            )
        is_long = len(line) >= MIN_WRAPPED_LINE
        return not (is_long and len(word) > 1 and word.isupper())

    def _is_new_item(self, last_word: str, following: str) -> bool:
        """Whether a noun ends the line and a phrase with a noun of its own is the next."""
        words = words_of(LINE_END.split(following, maxsplit=1)[0])
        return (
            fold(last_word) in self._ends_item
            and bool(words)
            and words[0] in self._begins_item
            and not self._ends_item.isdisjoint(words)
        )

    def _is_answer(self, line: str) -> bool:
        """ "Effusion: no": the line ends with a word that is an answer and no beginning."""
        label, colon, rest = line.rpartition(":")
        return bool(colon and label) and len(rest.split()) == 1


def _add_items(
    text: str, start: int, end: int, items: list[int], spans: list[tuple[int, int]]
) -> int:
    """Add the range, cut in front of items inside it; returns its end.

    `items` are the places of all items, last first; those before `end` are taken off.
    """
    while items and items[-1] < end:
        item = items.pop()
        if item > start:
            _add(text, start, item, spans)
            start = item
    _add(text, start, end, spans)
    return end


def _add(text: str, start: int, end: int, spans: list[tuple[int, int]]) -> None:
    """Add the range without blanks around it, in pieces of at most MAX_CHARACTERS."""
    while end - start > MAX_CHARACTERS:
        blank = text.rfind(" ", start + 1, start + MAX_CHARACTERS)
        stop = blank if blank > start else start + MAX_CHARACTERS
        _add(text, start, stop, spans)
        start = stop
    piece = text[start:end].lstrip()
    left = end - len(piece)
    piece = piece.rstrip()
    length = len(piece)
    if length > MIN_CHARACTERS or (length == MIN_CHARACTERS and piece.isalpha()):
        spans.append((left, left + length))
