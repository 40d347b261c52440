"""Present, absent, uncertain or resolved: the rules of the lexicon applied to a clause.

The passes and their order were re-derived from the published description of NegBio and the CheXpert
labeler: uncertainty that contains a negation ("cannot exclude"), then negation, then the rest. Here
these are ranks: of all rules that reach a finding, the one of the first rank decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from attributes.grammar.clauses import HEADS, Span
from attributes.grammar.units import Role, Unit
from attributes.lexicon.entries import Rule

ASSERTION_OF = {
    "pre_uncertainty": "uncertain",
    "resolution": "resolved",
    "negation": "absent",
    "uncertainty": "uncertain",
    "affirmation": "present",
}
RANK = {kind: rank for rank, kind in enumerate(ASSERTION_OF)}
SEPARATORS = frozenset({Role.COMMA, Role.AND, Role.OR})


@dataclass(frozen=True, slots=True)
class Decision:
    """The assertion of a finding, the rule that decided it, and the unit where that rule stands.

    `means` are (attribute, unit) pairs that the rules reaching the finding give to it.
    """

    assertion: str
    rule: Rule | None = None
    rule_unit: int = -1
    means: tuple[tuple[str, int], ...] = ()

    @property
    def rule_id(self) -> str:
        """The id of the deciding rule, empty where no rule reached the finding."""
        return self.rule.id if self.rule else ""


PRESENT = Decision("present")
ALTERNATIVE = Decision("uncertain")


def decide_assertions(units: Sequence[Unit], clause: Span) -> dict[int, Decision]:
    """The decision for every finding of a clause, by unit index."""
    start, stop = clause
    reached: dict[int, list[tuple[int, int]]] = {}
    for index in range(start, stop):
        rule = units[index].term.rule
        if rule is not None:
            for target in rule_targets(units, clause, index, rule):
                reached.setdefault(target, []).append((RANK[rule.kind], index))
    decisions: dict[int, Decision] = {}
    for index in range(start, stop):
        if units[index].role != Role.FINDING:
            continue
        if index not in reached:
            decisions[index] = PRESENT
            continue
        means = tuple(
            (name, place) for _, place in reached[index] for name in units[place].term.means
        )
        place = min(reached[index])[1]
        rule = units[place].term.rule
        if rule is None:
            continue
        assertion = ASSERTION_OF[rule.kind]
        if assertion == "absent" and _was_there(units, reached[index], rule):
            assertion = "resolved"
        decisions[index] = Decision(assertion, rule, place, means)
    _mark_alternatives(units, clause, decisions)
    return decisions


def _was_there(units: Sequence[Unit], reaching: Sequence[tuple[int, int]], rule: Rule) -> bool:
    """ "The previously noted effusion is not seen": denied now, but it was there."""
    if not rule.direction.startswith("backward"):
        return False
    others = [units[place].term.rule for _, place in reaching]
    return any(other is not None and other.former for other in others)


def rule_targets(units: Sequence[Unit], clause: Span, index: int, rule: Rule) -> list[int]:
    """The findings that the rule at unit `index` reaches."""
    direction = rule.direction
    if direction == "forward":
        return _forward(units, clause, index, rule)
    if direction == "backward":
        return _backward(units, clause, index, rule)
    if direction == "both":
        return _backward(units, clause, index, rule)[:1] + _forward(units, clause, index, rule)
    if direction == "forward_first":
        targets = _forward(units, clause, index, rule)
        if targets or not _ends_phrase(units, index, clause[1]):
            return targets
        return _backward(units, clause, index, rule)
    return _backward(units, clause, index, rule) or _forward(units, clause, index, rule)


def _ends_phrase(units: Sequence[Unit], index: int, stop: int) -> bool:
    """Whether nothing the rule could speak of follows: "opacity, likely", not "likely scar"."""
    place = index + 1
    return place >= stop or units[place].role in (
        *SEPARATORS,
        Role.PREPOSITION,
        Role.WITH,
        Role.VERB,
    )


def _forward(units: Sequence[Unit], clause: Span, index: int, rule: Rule) -> list[int]:
    targets: list[int] = []
    stop = clause[1]
    passed_verb = False
    for place in range(index + 1, stop):
        unit = units[place]
        role = unit.role
        if role == Role.FINDING:
            targets.append(place)
        elif not targets or rule.reach == "clause":
            # Before the first finding only a new rule after a separator ends the reach, and, for a
            # rule about one phrase, the end of that phrase.
            if role in SEPARATORS and _next_rule_takes_over(units, place, stop):
                break
            if rule.reach == "phrase" and _phrase_ends(units, index, place, stop):
                break
        elif role == Role.WITH:
            break
        elif role == Role.VERB:
            passed_verb = True
        elif role in SEPARATORS:
            if passed_verb or _next_rule_takes_over(units, place, stop):
                break
            if not _list_goes_on(units, place, stop, rule):
                break
    return targets


def _phrase_ends(units: Sequence[Unit], index: int, place: int, stop: int) -> bool:
    """Whether a rule about one phrase loses its reach at `place`, before it met a finding."""
    role = units[place].role
    if role == Role.COMMA and place > index + 1:
        has_head = any(units[at].role in HEADS for at in range(index + 1, place))
        has_or = any(units[at].role == Role.OR for at in range(place, stop))
        return not (has_head and has_or)  # "possibly cyst, scarring or pneumonia" is a list
    return role in (Role.WITH, Role.VERB, Role.OPENER)


def _next_rule_takes_over(units: Sequence[Unit], separator: int, stop: int) -> bool:
    place = separator + 1
    while place < stop and units[place].role in (Role.GLUE, Role.ARTICLE, *SEPARATORS):
        place += 1
    return place < stop and units[place].role == Role.RULE and units[place].term.rule is not None


def _list_goes_on(units: Sequence[Unit], separator: int, stop: int, rule: Rule) -> bool:
    """Whether what follows a separator is still in the list that the rule governs.

    "or" continues a list. A comma or "and" continues it when an "or" comes later, or when the
    next item is a bare noun; "no consolidation, small left effusion" is two statements.
    """
    if units[separator].role == Role.OR:
        return True
    if any(units[place].role == Role.OR for place in range(separator + 1, stop)):
        return True
    rest = [units[place].role for place in range(separator + 1, stop)]
    if rule.reach == "phrase" and units[separator].role == Role.COMMA:
        return False
    if rule.kind == "uncertainty" and rule.reach == "list":
        if rest[:2] == [Role.AND, Role.ARTICLE]:  # ", and a small effusion" is a new statement
            return False
        return units[separator].role == Role.AND or Role.AND in rest
    described = False
    for place in range(separator + 1, stop):
        role = units[place].role
        if role in SEPARATORS:
            if place == separator + 1:  # ", and"
                continue
            break
        if role in HEADS:
            break
        described = described or (role == Role.MODIFIER and units[place].term.describes)
    return not described


def _backward(units: Sequence[Unit], clause: Span, index: int, rule: Rule) -> list[int]:
    targets: list[int] = []
    may_take = True  # the nearest noun, then only those joined to it
    is_list = False
    has_head = False  # a noun since the last separator
    for place in range(index - 1, clause[0] - 1, -1):
        role = units[place].role
        if role in HEADS:
            if not may_take:
                break
            if role == Role.FINDING:
                targets.append(place)
            may_take, has_head = False, True
            if rule.direction == "both":
                break
        elif role in (Role.AND, Role.OR):
            may_take, is_list, has_head = True, is_list or has_head, False
        elif role == Role.COMMA and has_head:
            if not is_list:
                break
            may_take, has_head = True, False
        elif role == Role.WITH and targets:
            break
        elif role in (Role.COMMA, Role.RULE) and rule.direction == "both":
            break
    return targets


def _mark_alternatives(units: Sequence[Unit], clause: Span, decisions: dict[int, Decision]) -> None:
    """ "A or B", where no rule speaks, states neither: both are uncertain."""
    previous = -1
    has_or = False
    for index in range(*clause):
        role = units[index].role
        if role == Role.OR:
            has_or = True
        elif role in (Role.VERB, Role.PREPOSITION, Role.WITH, Role.OPENER, Role.RULE):
            previous, has_or = -1, False
        elif role == Role.FINDING:
            if has_or and previous >= 0:
                for place in (previous, index):
                    if decisions[place] is PRESENT:
                        decisions[place] = ALTERNATIVE
            previous, has_or = index, False
