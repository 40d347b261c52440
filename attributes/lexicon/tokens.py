"""Words of a text with their places.

A hyphen separates words ("ground-glass" is two); accents and case are folded, so that a lexicon
entry has one form. Anonymisation marks ("XXXX", "___") are ordinary words here; the grammar drops
them.
"""

from __future__ import annotations

import re
import unicodedata

# Latin letters with their accents (also as combining marks), digits with a decimal part, and the
# punctuation that the grammar reads, such as a hyphen between blanks. Everything else separates.
TOKEN = re.compile(r"[A-Za-z_À-ɏ\u0300-\u036f]+|[0-9]+(?:\.[0-9]+)?|[,;:/()<>=?¿&+¬]|-(?<= -)(?= )")
NOT_TICKED = "¬"  # the word of an empty tick box
MAX_WORD = 64  # no word of a language is longer; longer runs are noise and need not be folded whole
MAX_REMEMBERED = 200_000
# Control characters would break terminals and line-based readers of tables; offsets stay right.
CONTROL_AS_BLANK = {code: " " for code in [*range(32), 127]}


class FoldedWords(dict[str, str]):
    """Word -> folded word, filled on demand; several times faster than an lru_cache."""

    def __missing__(self, word: str) -> str:
        if len(self) >= MAX_REMEMBERED:
            self.clear()
        folded = self[word] = self.fold(word[:MAX_WORD])
        return folded

    def fold(self, word: str) -> str:
        """`word` in lower case without accents."""
        if word.isascii():
            return word.lower()
        decomposed = unicodedata.normalize("NFKD", word.lower())
        return "".join(c for c in decomposed if not unicodedata.combining(c))


_FOLDED = FoldedWords()
_folded = _FOLDED.__getitem__


def fold(word: str) -> str:
    """`word` in lower case without accents."""
    return _folded(word)


def words_of(text: str) -> list[str]:
    """The folded words of `text`, in order.

    >>> words_of("Ground-glass opacidad, BASE")
    ['ground', 'glass', 'opacidad', ',', 'base']
    """
    return list(map(_folded, TOKEN.findall(text)))
