"""`SectionSplitter`: cuts a report at its headings and says which parts describe the film.

Headings come in many forms: `FINDINGS:`, `**Findings:**`, `[FINDINGS]`, `FINDINGS - ...`, a line of
its own, several on one line, misspelt, or none at all after an indication. The vocabulary is data
(`Headings`); the code knows only the forms.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

from data_manifests.support.heading_kinds import MAX_HEADING, HeadingKinds
from data_manifests.support.report_bodies import find_body
from data_manifests.support.report_headings import (
    BRIEF,
    IMPRESSION,
    LABEL,
    READ,
    SKIPPED_KINDS,
    VIEW,
    Headings,
    fold_word,
    heading_key,
    heading_name,
)

MAX_COLONS = 50  # of one line that are looked at: a line of colons is no report
MAX_NAMES = 10_000  # names of sections that are remembered
# Marks around a heading: blanks, bullets, quotes, Markdown, brackets, a number ("1.").
DECORATION = re.compile(r"[ \t]{0,200}(?:[0-9]{1,2}[.)][ \t]{0,5})?[*_#>\[(<•·\"' \t-]{0,12}")
MARKS = frozenset("[(<*#_")
RULE_LINE = re.compile(r"[ \t]{0,200}[_=*~-][_=*~\- \t]{4,400}")
DASH = re.compile(r"[ \t]{1,5}[-–—][ \t]{1,5}|[–—]")
LETTERS = re.compile(r"[^\W\d_]{1,40}")
ENDS_STATEMENT = frozenset(".?!:;)]*_")


@dataclass(frozen=True, slots=True)
class ReportPart:
    """A part of a report without its heading.

    `name` is the heading in lower case, empty without one; `text` begins at character `start` of
    the report. `is_read`: the part describes the film; `is_impression`: it is the conclusion.
    """

    name: str
    text: str
    start: int
    is_read: bool = True
    is_impression: bool = False


@dataclass(slots=True)
class _Open:
    """The part that is being read: its heading, its kind, and where its text began."""

    name: str
    kind: str
    start: int
    has_text: bool = False
    after_blank: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    """A heading of a line: kind, and the characters of the report from its start to its text."""

    name: str
    kind: str
    start: int
    end: int


@dataclass
class SectionSplitter:
    """Splits reports with one vocabulary of headings."""

    headings: Headings
    _kinds: HeadingKinds = field(init=False)
    _names: dict[str, str] = field(init=False, default_factory=dict)
    _connectives: frozenset[str] = field(init=False, default=frozenset())

    def __post_init__(self) -> None:
        self._kinds = HeadingKinds(self.headings)
        self._connectives = self.headings.connectives | self.headings.joiners

    def split(self, text: str, name: str = "") -> list[ReportPart]:
        """The parts of a report, or of one section of it with the heading `name`, in order."""
        kind = self._kind_of_name(name) if name else READ
        if kind in SKIPPED_KINDS:
            return [ReportPart(name, text, 0, is_read=False)] if text.strip() else []
        if not self._may_hold_heading(text):
            part = ReportPart(name, text, 0, is_impression=kind == IMPRESSION)
            return [part] if text.strip() else []
        return list(self._parts(text, name, kind or READ))

    def is_skipped(self, name: str) -> bool:
        """Whether a section with this heading does not describe the film."""
        return self._kind_of_name(name) in SKIPPED_KINDS

    def _kind_of_name(self, name: str) -> str:
        """The kind of a heading; cached, because tables repeat the names of their sections."""
        kind = self._names.get(name)
        if kind is None:
            if len(self._names) >= MAX_NAMES:
                self._names.clear()
            kind = self._kinds.of(name.replace("_", " "), may_be_misspelt=True)
            self._names[name] = kind
        return kind

    def _may_hold_heading(self, text: str) -> bool:
        if ":" in text or "\n" in text or "\r" in text:
            return True
        start = text[:MAX_HEADING]
        if not start[:2].isupper() and start[:1] not in MARKS:
            has_dash = "-" in start or "–" in start or "—" in start
            if not has_dash or not DASH.search(start):
                return False
        first = LETTERS.search(start)
        return first is not None and fold_word(first.group()) in self._kinds.first_words

    def _parts(self, text: str, name: str, kind: str) -> Iterator[ReportPart]:
        lines = list(_lines(text))
        found = [
            self._headings_of_line(text, start, end) if end > start else [] for start, end in lines
        ]
        last_findings = max(
            (i for i, line in enumerate(found) if any(h.kind == READ for h in line)), default=-1
        )
        last_read = max(
            (h.start for line in found for h in line if h.kind in (READ, IMPRESSION)), default=-1
        )
        part = _Open(name, READ if kind == READ else kind, 0)
        for number, (start, end) in enumerate(lines):
            content = text[start:end].strip()
            if not content:
                part.after_blank = part.has_text
                continue
            if RULE_LINE.fullmatch(content):
                if part.has_text:
                    yield from _closed(text, part, start)
                    part = _Open("", READ, end)
                continue
            headings = found[number]
            if not headings and part.kind in SKIPPED_KINDS and number > last_findings:
                if self._begins_body(part, content):
                    yield from _closed(text, part, start)
                    part = _Open("", READ, start)
            at = start
            for heading in headings:
                if self._is_content(heading, part):
                    continue
                is_inside = bool(text[start : heading.start].strip(" \t*_#>([<"))
                if is_inside and part.name in ("", name) and part.kind == READ:
                    # A case told in prose ("Medical history: ...") with nothing headed after it.
                    if heading.kind in SKIPPED_KINDS and heading.start > last_read:
                        continue
                if number > last_findings:
                    part = yield from self._until_body(text, part, at, heading.start)
                yield from _closed(text, part, heading.start)
                is_label = heading.kind == LABEL
                at = heading.start if is_label else heading.end
                part = _Open("" if is_label else heading.name, heading.kind, at)
            if number > last_findings:
                part = yield from self._until_body(text, part, at, end)
            if text[at:end].strip(" \t\r*_"):
                part.has_text, part.after_blank = True, False
        yield from _closed(text, part, len(text))

    def _until_body(
        self, text: str, part: _Open, start: int, end: int
    ) -> Generator[ReportPart, None, _Open]:
        """Close a skipped part where a description begins on its line; the part that is open."""
        if part.kind in SKIPPED_KINDS:
            begin = find_body(text, start, end, self.headings.bodies, is_begun=part.has_text)
            if begin >= 0:
                yield from _closed(text, part, begin)
                return _Open("", READ, begin)
        return part

    def _is_content(self, heading: _Found, part: _Open) -> bool:
        """Whether a heading changes nothing: labels in read text, a view as an exam's name."""
        if heading.kind == LABEL:
            return part.kind not in SKIPPED_KINDS
        if heading.kind == VIEW:
            return part.kind not in SKIPPED_KINDS or (
                not part.has_text and heading.name == "" and part.kind == BRIEF
            )
        return False

    def _begins_body(self, part: _Open, content: str) -> bool:
        """Whether a line without a heading begins the description after a skipped section."""
        if part.after_blank:
            return True
        starts_sentence = content[0].isupper() or not content[0].isalnum()
        return part.kind == BRIEF and part.has_text and starts_sentence and content[0] != "_"

    def _headings_of_line(self, text: str, start: int, end: int) -> list[_Found]:
        found = []
        first = self._heading_at_start(text, start, end)
        at = start
        if first is not None:
            found.append(first)
            at = first.end
            second = self._heading_at_start(text, at, end) if at < end else None
            if second is not None and text[at:end].strip():
                found.append(second)
                at = second.end
        place = at
        for _ in range(MAX_COLONS):
            place = text.find(":", place, end)
            if place < 0:
                break
            inner = self._heading_before(text, at, place)
            place += 1
            if inner is not None:
                while place < end and text[place] in "*_":
                    place += 1
                found.append(_Found(inner.name, inner.kind, inner.start, place))
                at = place
        return found

    def _heading_at_start(self, text: str, start: int, end: int) -> _Found | None:
        """A heading at the start of a line, in any of its forms."""
        decoration = DECORATION.match(text, start, end)
        begin = decoration.end() if decoration else start
        rest = text[begin : min(end, begin + MAX_HEADING + 2)]
        colon = rest.find(":")
        if colon > 0:
            label = rest[:colon].rstrip(" \t*_])>")
            kind = self._kinds.of(label, may_be_misspelt=True)
            if kind:
                return _Found(
                    heading_name(label), kind, start, _skip(text, begin + colon + 1, end, "*_")
                )
        if begin > start and text[begin - 1] in "[(<":
            close = next((i for i, c in enumerate(rest) if c in "])>"), -1)
            kind = self._kinds.of(rest[:close]) if close > 0 else ""
            if kind and kind != LABEL:
                return _Found(heading_name(rest[:close]), kind, start, begin + close + 1)
        dash = DASH.search(rest)
        if dash is not None:
            label = rest[: dash.start()]
            kind = self._kinds.exact(label)
            if kind and kind != LABEL and label[:1].isupper():
                return _Found(heading_name(label), kind, start, begin + dash.end())
        whole = text[begin:end].strip().rstrip(".*_-#])> \t")
        if len(whole) <= MAX_HEADING and not whole[:1].islower():
            kind = self._kinds.of(whole, may_be_misspelt=whole.isupper())
            if kind and kind != LABEL:
                # A view line has no name: it is no heading, but it ends a skipped section.
                return _Found("" if kind == VIEW else heading_name(whole), kind, start, end)
        return self._heading_in_capitals(text, start, begin, end)

    def _heading_in_capitals(self, text: str, start: int, begin: int, end: int) -> _Found | None:
        """ "IMPRESSION No pneumonia", "FINAL REPORT HISTORY: ...": capitals without a mark."""
        words = list(LETTERS.finditer(text, begin, min(end, begin + MAX_HEADING)))[:5]
        if not words or not words[0].group().isupper():
            return None
        for count in range(len(words) - 1, 0, -1):
            label = text[begin : words[count - 1].end()]
            kind = self._kinds.by_key.get(heading_key(label), "")
            after = words[count]
            if not kind or kind == LABEL or not label.isupper():
                continue
            if text[words[count - 1].end() : after.start()].strip(" \t"):
                continue
            is_sentence = fold_word(after.group()) in self._connectives
            if not is_sentence and (not after.group().isupper() or self._is_heading(text, after)):
                return _Found(heading_name(label), kind, start, words[count - 1].end())
        return None

    def _is_heading(self, text: str, word: re.Match[str]) -> bool:
        colon = text.find(":", word.end(), word.end() + MAX_HEADING)
        return colon > 0 and bool(self._kinds.of(text[word.start() : colon]))

    def _heading_before(self, text: str, begin: int, colon: int) -> _Found | None:
        """The heading that ends at a colon inside a line, if one does."""
        window = max(begin, colon - MAX_HEADING)
        words = list(LETTERS.finditer(text, window, colon))[-6:]
        for number, word in enumerate(words):
            label = text[word.start() : colon].rstrip(" *_")
            kind = self._kinds.exact(label)
            if not kind and label.isupper():
                kind = self._kinds.of_view(heading_key(label).split())
            if not kind:
                continue
            before = text[begin : word.start()]
            stripped = before.rstrip(" \t*_")
            gap = len(before) - len(stripped)
            ends = not stripped or stripped[-1] in ENDS_STATEMENT or gap >= 2
            if kind == LABEL and not ends:
                continue
            previous = words[number - 1].group() if number else ""
            is_title = label[:1].isupper() and not (previous.isupper() and len(previous) > 1)
            if ends or is_title:
                return _Found(heading_name(label), kind, word.start(), colon)
        return None


def _skip(text: str, start: int, end: int, characters: str) -> int:
    while start < end and text[start] in characters:
        start += 1
    return start


def _lines(text: str) -> Iterator[tuple[int, int]]:
    """Half-open character ranges of the lines, without their ends."""
    start = 0
    for match in re.finditer(r"\r\n|\n|\r", text):
        yield start, match.start()
        start = match.end()
    yield start, len(text)


def _closed(text: str, part: _Open, end: int) -> Iterator[ReportPart]:
    """The finished part, if it holds any text."""
    content = text[part.start : end]
    if content.strip(" \t\r\n*_"):
        yield ReportPart(
            part.name,
            content,
            part.start,
            is_read=part.kind not in SKIPPED_KINDS,
            is_impression=part.kind == IMPRESSION,
        )
