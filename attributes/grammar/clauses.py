"""Cutting a sentence into clauses, so that no negation and no adjective crosses a predicate."""

from __future__ import annotations

from collections.abc import Sequence

from attributes.grammar.units import Role, Unit

Span = tuple[int, int]
SEPARATORS = frozenset({Role.COMMA, Role.AND, Role.OR})
HEADS = frozenset({Role.FINDING, Role.OTHER})
BREAKS = frozenset({Role.BREAK, Role.RELATIVE, Role.EXCLUDE})
SUBJECTS = frozenset(
    {
        Role.FINDING,
        Role.OTHER,
        Role.MODIFIER,
        Role.GLUE,
        Role.ARTICLE,
        Role.PARTITIVE,
        Role.WORD,
    }
)


def split_clauses(units: Sequence[Unit]) -> list[Span]:
    """Clauses as half-open ranges of unit indices, in order; breaking words belong to no clause.

    A clause ends at a breaking word ("but", "which", ";"), and at a comma or "and" that is followed
    by a subject with its own verb, when what stands before has a predicate too.
    """
    clauses: list[Span] = []
    start = 0
    for index, unit in enumerate(units):
        if unit.role in BREAKS and not _goes_on(units, start, index):
            clauses += _split_coordination(units, start, index)
            start = index + 1
    clauses += _split_coordination(units, start, len(units))
    return clauses


def _split_coordination(units: Sequence[Unit], start: int, stop: int) -> list[Span]:
    clauses: list[Span] = []
    begin = start
    has_head = has_verb = False
    for index in range(start, stop):
        role = units[index].role
        if role in HEADS:
            has_head = True
        elif units[index].term.is_predicate:
            has_verb = True
        elif (
            role in (Role.COMMA, Role.AND)
            and has_head
            and not units[index].term.is_slash
            and _starts_clause(units, index, stop, has_verb)
        ):
            clauses.append((begin, index))
            begin, has_head, has_verb = index + 1, False, False
    if begin < stop:
        clauses.append((begin, stop))
    return clauses


def _goes_on(units: Sequence[Unit], start: int, index: int) -> bool:
    """Whether the breaking word at `index` breaks nothing.

    That is so inside a noun phrase ("improving but persistent opacity"), and for a relative clause
    without a noun of its own, which speaks of the one before (", which has increased").
    """
    role = units[index].role
    if role == Role.BREAK:
        if index == start or index + 1 >= len(units):
            return False
        is_first = not any(
            unit.role in HEADS or unit.term.is_predicate for unit in units[start:index]
        )
        return (units[index - 1].role == Role.MODIFIER and is_first) or _only_describes(
            units, index
        )
    if role == Role.RELATIVE and index > start:
        for unit in units[index + 1 :]:
            if unit.role in BREAKS:
                break
            if unit.role in HEADS:
                return False
        return True
    return False


def _only_describes(units: Sequence[Unit], index: int) -> bool:
    """ "... enlarged but stable": attributes and no noun follow the breaking word."""
    has_modifier = False
    for unit in units[index + 1 :]:
        if unit.role in BREAKS:
            break
        if unit.role in HEADS or unit.role == Role.RULE:
            return False
        has_modifier = has_modifier or unit.role == Role.MODIFIER
    return (
        has_modifier
        and units[index].term.role == Role.BREAK
        and units[index].end - units[index].start > 1
    )


def _starts_clause(units: Sequence[Unit], index: int, stop: int, left_has_verb: bool) -> bool:
    """Whether a new clause with its own subject and verb begins after the separator at `index`."""
    place = index + 1
    is_list = False
    while place < stop and units[place].role in SEPARATORS:
        is_list = is_list or units[place].role == Role.OR
        place += 1
    if place < stop and units[place].role == Role.OPENER:
        return True
    has_subject = has_head = False
    while place < stop:
        unit = units[place]
        if unit.term.is_predicate:
            # Without a verb on the left, "A, B or C is seen" is one list, "No A, B is seen" is two.
            return has_subject and (
                left_has_verb or (not is_list and has_head and units[index].role == Role.COMMA)
            )
        if unit.role in (Role.COMMA, Role.WITH):
            return False
        if unit.role in (Role.AND, Role.OR):
            is_list = True
        has_head = has_head or unit.role in HEADS
        has_subject = has_subject or unit.role in SUBJECTS
        place += 1
    return False
