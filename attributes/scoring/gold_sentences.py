"""Gold sentences: a CSV of sentences with their findings, assertions and attributes.

Columns: `sentence_id, difficulty, text, findings`. `findings` is a list such as
`opacity present left basal patchy; effusion absent`, in the order of the mentions; empty: none.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from attributes.lexicon.entries import ASSERTIONS, Lexicon
from data_manifests.support.errors import DataError, Problem

GOLD_COLUMNS = ("sentence_id", "difficulty", "text", "findings")


@dataclass(frozen=True, slots=True)
class Mention:
    """A finding as gold or structurer states it: without offsets, attributes as a set."""

    finding: str
    assertion: str
    attributes: frozenset[str]

    def __str__(self) -> str:
        return " ".join((self.finding, self.assertion, *sorted(self.attributes)))


@dataclass(frozen=True, slots=True)
class GoldSentence:
    """A sentence and its true mentions, in order."""

    sentence_id: str
    difficulty: str
    text: str
    mentions: tuple[Mention, ...]


def read_gold(path: Path, lexicon: Lexicon) -> list[GoldSentence]:
    """The sentences of a gold file. Raises DataError with every bad row."""
    if not Path(path).is_file():
        raise DataError.from_problems(
            [Problem(str(path), "a CSV of gold sentences", "no such file")]
        )
    problems: list[Problem] = []
    sentences: list[GoldSentence] = []
    seen: set[str] = set()
    with Path(path).open(encoding="utf-8", newline="") as handle:
        rows = csv.DictReader(handle)
        missing = [name for name in GOLD_COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            found = ", ".join(rows.fieldnames or ()) or "an empty file"
            raise DataError.from_problems(
                [Problem(str(path), f"columns {', '.join(missing)}", found, row=1)]
            )
        for row in rows:
            line = rows.line_num
            if row["sentence_id"] in seen:
                problem = "every sentence once", f"`{row['sentence_id']}` again"
                problems.append(Problem(str(path), *problem, row=line, field="sentence_id"))
            seen.add(row["sentence_id"])
            text = row["findings"] or ""
            try:
                mentions = read_mentions(text, lexicon)
            except ValueError as error:
                problems.append(
                    Problem(str(path), str(error), f"`{text}`", row=line, field="findings")
                )
                continue
            sentences.append(
                GoldSentence(row["sentence_id"], row["difficulty"], row["text"], mentions)
            )
    if problems:
        raise DataError.from_problems(problems)
    return sentences


def read_mentions(text: str, lexicon: Lexicon) -> tuple[Mention, ...]:
    """The mentions of a list such as `opacity present left; effusion absent`.

    Raises ValueError naming what was expected.
    """
    parts = (part.strip() for part in text.split(";"))
    return tuple(_mention(part, lexicon) for part in parts if part)


def _mention(text: str, lexicon: Lexicon) -> Mention:
    words = text.split()
    findings = [kind.name for kind in lexicon.findings]
    if words[0] not in findings:
        raise ValueError(f"one of {', '.join(findings)} first")
    if len(words) < 2 or words[1] not in ASSERTIONS:
        raise ValueError(f"one of {', '.join(ASSERTIONS)} second")
    unknown = [word for word in words[2:] if word not in lexicon.axis_of]
    if unknown:
        raise ValueError(f"names of the lexicon, not {', '.join(unknown)}")
    return Mention(words[0], words[1], frozenset(words[2:]))
