"""Sections of a report: which parts tell what is seen on this film."""

from __future__ import annotations

import re
from dataclasses import dataclass

from attributes.lexicon.entries import Lexicon
from attributes.lexicon.tokens import words_of


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report: its name, its text and where that begins in the report."""

    name: str
    text: str
    start: int


class SectionReader:
    """Finds headings ("FINDINGS:", "Impression:") and drops the sections that are no findings."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._skipped = frozenset(" ".join(words_of(name)) for name in lexicon.skip_sections)
        names = sorted({*lexicon.read_sections, *lexicon.skip_sections}, key=len, reverse=True)
        listed = "|".join(re.escape(name).replace(r"\ ", r"[ \t]+") for name in names)
        # A heading stands at the start of a line or after a full stop and ends with a colon. The
        # quantifiers are bounded, so a text of blanks stays linear.
        self._heading = re.compile(
            rf"(?:^|(?<=[.\n])[ \t]{{0,20}})({listed})[ \t]{{0,5}}:", re.IGNORECASE | re.MULTILINE
        )

    def is_read(self, name: str) -> bool:
        """Whether a section of this name tells what is seen."""
        return " ".join(words_of(name)) not in self._skipped

    def split(self, text: str, name: str = "") -> list[Section]:
        """The read sections of a text.

        With a `name` the text is that one section, unless headings stand in it. Text before the
        first heading counts as read.
        """
        if name and not self.is_read(name):
            return []
        if ":" not in text:
            return [Section(name, text, 0)]
        sections: list[Section] = []
        current, start = name, 0
        for match in self._heading.finditer(text):
            if match.start() > start:
                sections.append(Section(current, text[start : match.start()], start))
            current, start = match.group(1).lower(), match.end()
        sections.append(Section(current, text[start:], start))
        return [
            part
            for part in sections
            if part.text and (part.name == name or self.is_read(part.name))
        ]
