"""`AnomalyStructurer`: a CT report as anomalies with their phrases, places and organs.

The three tasks of section 3.3 of Ichinose et al. (2023), by rules in place of BERT: the organ of a
sentence, phrases in nine classes, and the relation of phrases to anomalies. Assertions come from
the rules of the film reports' grammar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from attributes.anomalies.anomaly import Anomaly, Phrase, ReportSentence, StructuredReport
from attributes.anomalies.ct_lexicon import CtLexicon, load_ct_lexicon
from attributes.anomalies.place_groups import ANY_SIDE, join_runs, split_by_place
from attributes.grammar.assertion import decide_assertions
from attributes.grammar.binding import bind_modifiers
from attributes.grammar.clauses import split_clauses
from attributes.grammar.context import read_in_context
from attributes.grammar.units import MAX_SENTENCE_WORDS, Role, Term, Unit
from attributes.lexicon.tokens import words_of
from attributes.structure import Structurer

# "6 mm", "1.2 x 0.8 cm", "3-4 mm"; the digits and the unit are words of their own to the grammar.
NUMBER = r"[0-9]{1,4}(?:[.,][0-9]{1,2})?"
MEASURE = re.compile(
    rf"\b(?:up to )?{NUMBER}(?: ?(?:mm|cm)? ?(?:x|×|by|-|to) ?{NUMBER}){{0,2}}[ -]?(?:mm|cm)\b",
    re.I,
)
SIZE = Term(Role.MODIFIER, means=("measure",), is_size=True)


@dataclass(frozen=True)
class _Mention:
    """An anomaly of a sentence; its phrases count characters of the report."""

    anomaly: Anomaly
    is_definite: bool  # "the nodule"


class AnomalyStructurer:
    """Reads CT reports with one lexicon."""

    def __init__(self, lexicon: CtLexicon | None = None) -> None:
        self.lexicon = lexicon or load_ct_lexicon()
        self._structurer = Structurer(self.lexicon.lexicon, extended=True)
        self._grammar = self._structurer.grammar

    def structure(self, text: str) -> StructuredReport:
        """The sentences and anomalies of a report; history and technique are not read."""
        sentences: list[ReportSentence] = []
        anomalies: list[Anomaly] = []
        organ = "other"
        for part in self._structurer.read_parts(text):
            for start, end in self._structurer.sentences.spans(part.text):
                at = part.start + start
                sentence = part.text[start:end]
                units = self._units(sentence)
                found = list(self._mentions(units, at, organ))
                if found or any(self._organs(unit) for unit in units):
                    organ = self._sentence_organ(units, found)
                elif not self._refers(sentence):
                    organ = "other"
                sentences.append(ReportSentence(at, part.start + end, organ))
                self._add(anomalies, found, sentence, units, at)
        return StructuredReport(text, tuple(sentences), tuple(anomalies))

    def _units(self, sentence: str) -> list[Unit]:
        units = self._grammar.units(sentence)[:MAX_SENTENCE_WORDS]
        for match in MEASURE.finditer(sentence):
            inside = [
                place
                for place, unit in enumerate(units)
                if unit.start < match.end() and unit.end > match.start()
            ]
            if inside:
                size = Unit(SIZE, SIZE.role, match.start(), match.end())
                units[inside[0] : inside[-1] + 1] = [size]
        return read_in_context(units, self._grammar)

    def _mentions(self, units: Sequence[Unit], at: int, context: str) -> Iterator[_Mention]:
        for clause in split_clauses(units):
            bound = bind_modifiers(units, clause, self._grammar)
            for index, decision in decide_assertions(units, clause).items():
                unit = units[index]
                indices = sorted({place for _, place in bound[index] if place != index})
                places = [place for place in indices if self._class(units[place]) == "place"]
                others = [place for place in indices if place not in places]
                head = Phrase("anomaly", (unit.term.finding,), at + unit.start, at + unit.end)
                described = tuple(
                    self._phrase(units, [place], at, self._class(units[place])) for place in others
                )
                for group in split_by_place(units, places, self.lexicon):
                    where = tuple(
                        self._phrase(units, run, at, "place") for run in join_runs(units, group)
                    )
                    phrases = tuple(sorted((*where, *described), key=lambda item: item.start))
                    organ = self._anomaly_organ(units, index, group, context)
                    yield _Mention(
                        Anomaly(unit.term.finding, organ, decision.assertion, (head, *phrases)),
                        self._is_definite(units, index),
                    )

    def _class(self, unit: Unit) -> str:
        classes = [self.lexicon.class_of[name] for name in unit.term.means]
        return "place" if "place" in classes else classes[0]

    def _phrase(self, units: Sequence[Unit], run: Sequence[int], at: int, kind: str) -> Phrase:
        names = {name: None for index in run for name in units[index].term.means}
        return Phrase(kind, tuple(names), at + units[run[0]].start, at + units[run[-1]].end)

    def _organs(self, unit: Unit) -> list[str]:
        """The organs that a unit names: of its places, or of its anomaly."""
        names = (unit.term.finding,) if unit.role == Role.FINDING else unit.term.means
        found = [self.lexicon.organ_of.get(name, "") for name in names]
        return [organ for organ in found if organ]

    def _anomaly_organ(
        self, units: Sequence[Unit], index: int, places: Sequence[int], context: str
    ) -> str:
        """Its place's organ; else its own, else that of the sentence, else of the one before.

        Lung and its lobes are the weakest: a "pulmonary embolism" is in the vessels.
        """
        named = [organ for place in places for organ in self._organs(units[place])]
        own = self._organs(units[index])
        if own and (not named or set(named) == {"lung"}):
            return own[0]
        if named:
            return next((organ for organ in named if organ != "lung"), named[0])
        lobes = [at for at in places if set(units[at].term.means) - ANY_SIDE]
        if lobes:
            return "lung"
        around = [organ for unit in units for organ in self._organs(unit)]
        return around[0] if around else context

    def _sentence_organ(self, units: Sequence[Unit], found: Sequence[_Mention]) -> str:
        """The organ of the first anomaly, else the first organ named."""
        if found:
            return found[0].anomaly.organ
        named = [organ for unit in units for organ in self._organs(unit)]
        return next((organ for organ in named if organ != "lung"), named[0])

    def _is_definite(self, units: Sequence[Unit], index: int) -> bool:
        return all(unit.term.is_determiner or unit.role == Role.MODIFIER for unit in units[:index])

    def _refers(self, sentence: str) -> bool:
        """Whether a sentence begins with a word that stands for an anomaly before it."""
        words = tuple(words_of(sentence[:40]))
        return any(words[: len(one)] == one for one in self.lexicon.references)

    def _add(
        self,
        anomalies: list[Anomaly],
        found: list[_Mention],
        sentence: str,
        units: Sequence[Unit],
        at: int,
    ) -> None:
        """Append the anomalies of a sentence, or add its phrases to the one that it describes."""
        words = tuple(words_of(sentence[:40]))
        starts_definite = any(words[: len(one)] == one for one in self.lexicon.definite)
        if not found:
            if anomalies and self._refers(sentence):
                added = [
                    self._phrase(units, [index], at, self._class(unit))
                    for index, unit in enumerate(units)
                    if unit.role == Role.MODIFIER and self._class(unit) != "place"
                ]
                anomalies[-1] = _described(anomalies[-1], added)
            return
        first = found[0]
        if len(found) == 1 and starts_definite and first.is_definite:
            for position in range(len(anomalies) - 1, -1, -1):
                if _is_again(anomalies[position], first.anomaly):
                    added = list(first.anomaly.phrases[1:])
                    anomalies[position] = _described(anomalies[position], added)
                    return
        anomalies += [mention.anomaly for mention in found]


def _described(anomaly: Anomaly, added: Sequence[Phrase]) -> Anomaly:
    return replace(anomaly, phrases=(*anomaly.phrases, *added))


def _is_again(before: Anomaly, mention: Anomaly) -> bool:
    """Whether a definite mention is the anomaly of before: of its type, at no other place."""
    return (
        before.type == mention.type
        and before.assertion != "absent"
        and mention.assertion != "absent"
        and mention.places <= before.places
    )
