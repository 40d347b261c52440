"""`CorrectedWords`: folded words, with typing errors in long lexicon words corrected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attributes.lexicon.tokens import FoldedWords

# Shorter words are too alike: "effusion" may be corrected, "edema" may not.
MIN_LETTERS = 7


class CorrectedWords(FoldedWords):
    """Word -> folded word; an unknown word within one slip of a known long word becomes that word.

    A slip is one letter too many, missing, wrong, or swapped with its neighbour. The first letter
    must be right: it tells "effusion" from "diffusion".
    """

    def __init__(self, vocabulary: Iterable[str], correctable: Iterable[str]) -> None:
        super().__init__()
        self._vocabulary = frozenset(vocabulary)
        self._near: dict[str, list[str]] = {}
        for word in sorted(set(correctable)):
            if len(word) >= MIN_LETTERS and word.isalpha():
                for shorter in (word, *_deletions(word)):
                    self._near.setdefault(shorter, []).append(word)

    def fold(self, word: str) -> str:
        """`word` in lower case without accents, corrected where it is a slip of a known word."""
        folded = super().fold(word)
        if len(folded) < MIN_LETTERS - 1 or folded in self._vocabulary:
            return folded
        for shorter in (folded, *_deletions(folded)):
            for known in self._near.get(shorter, ()):
                if is_one_slip(folded, known):
                    return known
        return folded


def is_one_slip(written: str, meant: str) -> bool:
    """Whether two different words with the same first letter are one slip apart."""
    if written[0] != meant[0] or abs(len(written) - len(meant)) > 1:
        return False
    same = 0
    while same < min(len(written), len(meant)) and written[same] == meant[same]:
        same += 1
    a, b = written[same:], meant[same:]
    return a[1:] == b or a == b[1:] or a[1:] == b[1:] or (a[:2] == b[1::-1] and a[2:] == b[2:])


def _deletions(word: str) -> Iterator[str]:
    for place in range(1, len(word)):
        yield word[:place] + word[place + 1 :]
