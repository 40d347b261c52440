"""`expand_phrase`: the notation of phrases in a lexicon, expanded to plain spellings.

`(a|b)` stands for a or b, `[a|b]` for a, b or nothing; groups nest. A phrase is expanded to its
plain spellings when the lexicon is read, so matching is a walk through a finite list of word
sequences:
no user-written regular expression is ever run on a report, and matching stays linear in its length.
"""

from __future__ import annotations

import itertools

from attributes.lexicon.tokens import words_of

# "no [a|b|...] (evidence|signs) (of|for)" has some hundred spellings; thousands are a slip of the
# pen.
MAX_SPELLINGS = 4000
MAX_BRACKETS = 100  # the deepest phrase of ours has 3 inside each other
CLOSING = {"(": ")", "[": "]"}


class PhraseError(ValueError):
    """A phrase is not well formed; the message explains why."""


def expand_phrase(phrase: str) -> list[tuple[str, ...]]:
    """All spellings of `phrase` as word tuples, in the order written and without repetition.

    Raises PhraseError for unbalanced groups, an empty spelling, or more than MAX_SPELLINGS of them.
    """
    if sum(phrase.count(opening) for opening in CLOSING) > MAX_BRACKETS:
        raise PhraseError(f"more than {MAX_BRACKETS} groups; split the phrase")
    spellings, end = _alternatives(phrase, 0, "")
    if end != len(phrase):
        raise PhraseError(f"`{phrase[end]}` at character {end + 1} closes nothing")
    unique = dict.fromkeys(tuple(words_of(spelling)) for spelling in spellings)
    if () in unique:
        raise PhraseError("the phrase can be empty, it would match everywhere")
    return list(unique)


def _alternatives(phrase: str, start: int, closing: str) -> tuple[list[str], int]:
    """Spellings of `a|b|c` from `start` up to `closing`, and the place where reading stopped."""
    spellings: list[str] = []
    position = start
    while True:
        sequence, position = _sequence(phrase, position)
        spellings += sequence
        if position < len(phrase) and phrase[position] == "|":
            if not closing:
                raise PhraseError("`|` stands outside of ( ) or [ ]")
            position += 1
            continue
        if closing and (position >= len(phrase) or phrase[position] != closing):
            raise PhraseError(f"a group opened at character {start} is not closed by `{closing}`")
        return spellings, position


def _sequence(phrase: str, start: int) -> tuple[list[str], int]:
    """Spellings of text and groups one after another, up to `|`, `)` or `]`."""
    parts: list[list[str]] = []
    position, size = start, 1
    while position < len(phrase) and phrase[position] not in "|)]":
        opening = phrase[position]
        if opening in CLOSING:
            inner, position = _alternatives(phrase, position + 1, CLOSING[opening])
            parts.append([*inner, ""] if opening == "[" else inner)
            position += 1
        else:
            end = position
            while end < len(phrase) and phrase[end] not in "|()[]":
                end += 1
            parts.append([phrase[position:end]])
            position = end
        size *= len(parts[-1])
        if size > MAX_SPELLINGS:
            raise PhraseError(f"more than {MAX_SPELLINGS} spellings; split the phrase")
    return [" ".join(choice) for choice in itertools.product(*parts)], position
