"""`Headings`: the vocabulary of a report's headings, and how a heading is looked up in it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

WORD = re.compile(r"[^\W\d_]+|[0-9]+|[/&,]")
# What a heading says about the text below it.
READ, IMPRESSION, SKIP, BRIEF, LABEL, VIEW = (
    "read",
    "impression",
    "skip",
    "brief",
    "label",
    "view",
)
READ_KINDS = frozenset({READ, IMPRESSION, VIEW})
SKIPPED_KINDS = frozenset({SKIP, BRIEF})


@dataclass(frozen=True)
class BodyWords:
    """How the description of a film begins where it follows a history on the same line.

    A sentence that begins with one of `starts` ("the lungs are") describes the film; so does one
    that begins with one of `finding_starts` ("there is") and holds a word of `findings`, unless it
    holds one of `stops` ("concern").
    """

    starts: frozenset[str] = frozenset()
    finding_starts: frozenset[str] = frozenset()
    findings: frozenset[str] = frozenset()
    stops: frozenset[str] = frozenset()

    @cached_property
    def longest(self) -> int:
        """The number of words of the longest beginning."""
        return max((start.count(" ") + 1 for start in self.starts | self.finding_starts), default=0)


@dataclass(frozen=True)
class Headings:
    """The vocabulary of headings, in lower case.

    `read` and `impression` head descriptions of the film; `skip` heads other text (history);
    `brief` heads other text of one line or paragraph (comparison, technique). `labels` stand in
    front of statements and stay in the text (lungs, heart); they end a skipped section. `views` are
    the words of which view lines consist ("PA and lateral chest"), `joiners` join headings ("and"),
    `connectives` are words that continue a sentence ("with", "of"). `bodies`: how an unheaded
    description begins.
    """

    read: frozenset[str]
    impression: frozenset[str]
    skip: frozenset[str]
    brief: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    views: frozenset[str] = frozenset()
    joiners: frozenset[str] = frozenset({"/", "&", ","})
    connectives: frozenset[str] = frozenset()
    bodies: BodyWords = BodyWords()


def heading_key(label: str) -> str:
    """A heading without case, accents and punctuation, as it is looked up."""
    return " ".join(fold_word(word) for word in WORD.findall(label))


def heading_name(label: str) -> str:
    """A heading as it is shown: lower case, without marks around it."""
    return " ".join(label.strip(" \t*_#-").lower().split())


def fold_word(word: str) -> str:
    """A word in lower case without accents."""
    if word.isascii():
        return word.lower()
    decomposed = unicodedata.normalize("NFKD", word.lower())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def one_letter_less(key: str) -> Iterator[str]:
    """The key with one letter left out: two words within one slip of the pen share one of these."""
    for place in range(len(key)):
        yield key[:place] + key[place + 1 :]
