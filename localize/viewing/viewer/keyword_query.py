"""`read_query`: the keywords in a typed phrase, by the spellings of the lexicon."""

from __future__ import annotations

from dataclasses import dataclass

from attributes.lexicon.entries import Lexicon
from attributes.lexicon.tokens import words_of

MAX_LETTERS = 500  # a phrase, not a report


@dataclass(frozen=True)
class KeywordQuery:
    """The `keywords` of a phrase in its order, each once, and the `ignored` words."""

    keywords: tuple[str, ...]
    ignored: tuple[str, ...]


def read_query(text: str, lexicon: Lexicon) -> KeywordQuery:
    """The keywords of a phrase such as "LLL opacity" (left, lower); the longest spelling wins.

    Negation is not understood: a phrase is a search, not a report.
    """
    spellings: dict[tuple[str, ...], tuple[str, ...]] = {}
    known = set(lexicon.keyword_names)
    for compound in lexicon.compounds:
        for spelling in compound.spellings:
            spellings[spelling] = tuple(word for word in compound.means if word in known)
    for keyword in lexicon.keywords:
        for spelling in keyword.variants:
            spellings[spelling] = (keyword.name,)
    longest = max(map(len, spellings), default=0)
    words = words_of(text[:MAX_LETTERS])
    found: dict[str, None] = {}
    ignored = []
    place = 0
    while place < len(words):
        for length in range(min(longest, len(words) - place), 0, -1):
            means = spellings.get(tuple(words[place : place + length]))
            if means:
                found |= dict.fromkeys(means)
                place += length
                break
        else:
            ignored.append(words[place])
            place += 1
    return KeywordQuery(tuple(found), tuple(ignored))
