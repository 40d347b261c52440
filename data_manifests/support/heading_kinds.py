"""`HeadingKinds`: what a heading says about the text below it, looked up in a vocabulary."""

from __future__ import annotations

from dataclasses import dataclass, field

from data_manifests.support.report_headings import (
    BRIEF,
    IMPRESSION,
    LABEL,
    READ,
    SKIP,
    VIEW,
    WORD,
    Headings,
    fold_word,
    heading_key,
    one_letter_less,
)

MAX_HEADING = 70  # characters; a longer line is prose
MIN_MISSPELT = 6  # letters; shorter words are too alike


@dataclass
class HeadingKinds:
    """The kinds of headings: `by_key` by their words, `first_words` of all of them."""

    headings: Headings
    by_key: dict[str, str] = field(init=False, default_factory=dict)
    first_words: frozenset[str] = field(init=False, default=frozenset())
    _misspelt: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        known = self.headings
        for kind, names in (
            (LABEL, known.labels),
            (READ, known.read),
            (IMPRESSION, known.impression),
            (BRIEF, known.brief),
            (SKIP, known.skip),
        ):
            self.by_key |= {heading_key(name): kind for name in names}
        self.first_words = frozenset(key.split(" ", 1)[0] for key in self.by_key)
        for key, kind in self.by_key.items():
            if kind != LABEL and len(key) >= MIN_MISSPELT:
                for typo in one_letter_less(key):
                    self._misspelt.setdefault(typo, key)

    def of(self, label: str, *, may_be_misspelt: bool = False) -> str:
        """The kind of a heading, empty for text that is none.

        Combined headings ("FINDINGS/IMPRESSION") are read if one of their parts is.
        """
        if len(label) > MAX_HEADING:
            return ""
        words = [fold_word(word) for word in WORD.findall(label)]
        while words and words[0].isdigit():
            del words[0]
        key = " ".join(words)
        kind = self.by_key.get(key, "")
        if kind or not words:
            return kind
        kind = self._of_parts(words) or self.of_view(words)
        if not kind and label.isupper():
            kind = self._of_start(words)
        if not kind and may_be_misspelt and len(key) >= MIN_MISSPELT:
            for typo in (key, *one_letter_less(key)):
                meant = typo if typo in self.by_key else self._misspelt.get(typo, "")
                if meant and self.by_key[meant] != LABEL:
                    return self.by_key[meant]
        return kind

    def exact(self, label: str) -> str:
        """The kind of a heading, or of joined headings, as they stand in the vocabulary."""
        key = heading_key(label)
        return self.by_key.get(key, "") or self._of_parts(key.split())

    def _of_parts(self, words: list[str]) -> str:
        parts: list[list[str]] = [[]]
        for word in words:
            if word in self.headings.joiners:
                parts.append([])
            else:
                parts[-1].append(word)
        if len(parts) == 1:
            return ""
        kinds = [self.by_key.get(" ".join(part), "") for part in parts if part]
        if not kinds or not all(kinds):
            return ""
        for kind in (READ, IMPRESSION, LABEL, SKIP):
            if kind in kinds:
                return kind
        return BRIEF

    def _of_start(self, words: list[str]) -> str:
        """ "REASON FOR EXAM TODAY": the kind of the longest known heading it begins with."""
        for count in range(min(len(words) - 1, 5), 0, -1):
            kind = self.by_key.get(" ".join(words[:count]), "")
            if kind in (SKIP, BRIEF, READ, IMPRESSION) and len(words) <= 6:
                # "FINAL REPORT HISTORY" is two headings.
                rest = [" ".join(words[at:]) for at in range(count, len(words))]
                return "" if any(tail in self.by_key for tail in rest) else kind
        return ""

    def of_view(self, words: list[str]) -> str:
        """The kind of a line that may consist of words of views alone."""
        known = self.headings.views
        joiners = self.headings.joiners
        if not known or all(word in joiners or word.isdigit() or len(word) == 1 for word in words):
            return ""
        is_view = all(
            word in known or word in joiners or word.isdigit() or len(word) == 1 for word in words
        )
        return VIEW if is_view else ""
