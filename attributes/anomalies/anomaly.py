"""What a structured CT report is: sentences with their organ, anomalies with their phrases."""

from __future__ import annotations

from dataclasses import dataclass

# The nine classes of phrases, in the order of their index (1 to 9) in equation 2 of the paper; the
# paper names nine without listing them outside its appendix.
PHRASE_CLASSES = (
    "anomaly", "place", "size", "number", "shape", "density", "distribution", "degree", "change",
)  # fmt: skip


@dataclass(frozen=True)
class Phrase:
    """Characters `start` to `end` of the report, of a class, with the names of what they state."""

    phrase_class: str
    names: tuple[str, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Anomaly:
    """One anomaly at one place.

    Args:
        type: its name in the lexicon.
        organ: the organ class.
        assertion: present, absent, uncertain or resolved.
        phrases: the phrase that names it first, then those that describe it, by their place.
    """

    type: str
    organ: str
    assertion: str
    phrases: tuple[Phrase, ...]

    @property
    def head(self) -> Phrase:
        """The phrase that names the anomaly."""
        return self.phrases[0]

    @property
    def places(self) -> frozenset[str]:
        """The names of its place."""
        return frozenset(
            name for item in self.phrases if item.phrase_class == "place" for name in item.names
        )


@dataclass(frozen=True)
class ReportSentence:
    """Characters `start` to `end` of the report, and the organ that the sentence speaks of."""

    start: int
    end: int
    organ: str


@dataclass(frozen=True)
class StructuredReport:
    """The sentences of a report that are read, and its anomalies in the order of their mention."""

    text: str
    sentences: tuple[ReportSentence, ...]
    anomalies: tuple[Anomaly, ...]

    def words(self, phrase: Phrase) -> str:
        """The characters of a phrase."""
        return self.text[phrase.start : phrase.end]
