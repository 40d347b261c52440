"""`read_in_context`: units whose meaning depends on the units around them.

- "The heart is enlarged": a predicate of a certain subject states a finding.
- "slightly increased", "mild improvement of": the degree belongs to the change, not to the finding.
- "opacity ground-glass": where adjectives follow, a noun that states an attribute may be one.
- "Tubes: left chest tube": the noun before the colon is a label.
- "both the opacity and the effusion": "both" does not mean bilateral.
"""

from __future__ import annotations

from attributes.grammar.units import GLUE, Grammar, Role, Term, Unit

HEADS = frozenset({Role.FINDING, Role.OTHER})
# Between a predicate and a subject that follows ("enlarged cardiac silhouette").
LINKS = frozenset({Role.GLUE, Role.MODIFIER, Role.ARTICLE})
BEFORE_PRONOUN = frozenset(
    {Role.COMMA, Role.AND, Role.BREAK, Role.RELATIVE, Role.RULE, Role.WITH, Role.EXCLUDE}
)
# What may follow a noun of change: "improvement of", not "improving opacity".
NOT_AFTER_NOUN = frozenset({Role.FINDING, Role.OTHER, Role.MODIFIER, Role.WORD, Role.GLUE})


def read_in_context(units: list[Unit], grammar: Grammar) -> list[Unit]:
    """The units with the terms they have in this sentence."""
    result = units
    for index, unit in enumerate(units):
        term = unit.term
        if unit.role == Role.FINDING and _is_label(units, index):
            result = _with_term(result, index, GLUE)
        elif term.predicate_of:
            finding = _stated_of_subject(result, index)
            if finding:
                result = _with_term(result, index, Term(Role.FINDING, finding))
            elif term.means and _describes_finding(result, index):
                result = _with_term(
                    result, index, Term(Role.MODIFIER, means=term.means, is_course=True)
                )
        elif term.is_pronoun:
            finding = _named_before(result, index, grammar)
            if finding:
                result = _with_term(result, index, Term(Role.FINDING, finding))
        elif grammar.adjectives_follow and term.means and unit.role == Role.FINDING and index:
            if result[index - 1].role == Role.FINDING:  # "infiltr vidri deslustr"
                result = _with_term(result, index, Term(Role.MODIFIER, means=term.means))
        elif term.is_change:
            for place in _degrees_of_change(result, index):
                result = _with_term(result, place, GLUE)
        elif term.means == ("bilateral",) and index + 1 < len(units):
            if _is_conjunction(units, index, grammar):
                result = _with_term(result, index, GLUE)
    return result


def _with_term(units: list[Unit], index: int, term: Term) -> list[Unit]:
    unit = units[index]
    return [*units[:index], Unit(term, term.role, unit.start, unit.end), *units[index + 1 :]]


def _is_label(units: list[Unit], index: int) -> bool:
    """ "Lines and tubes: NG tube": the noun before the colon is a label, the same one follows."""
    if index + 1 >= len(units) or not units[index + 1].term.is_colon:
        return False
    finding = units[index].term.finding
    for unit in units[index + 2 :]:
        if unit.role == Role.BREAK or unit.term.is_colon:
            return False
        if unit.term.finding == finding:
            return True
    return False


def _stated_of_subject(units: list[Unit], index: int) -> str:
    """The finding that the predicate at `index` states, empty where its subject is another."""
    possible = units[index].term.predicate_of
    has_verb = False
    for place in range(index - 1, -1, -1):
        unit = units[place]
        has_verb = has_verb or unit.role == Role.VERB
        if unit.role == Role.BREAK:
            break
        if unit.role == Role.COMMA and not has_verb:
            # "Heart size - mildly enlarged"
            if unit.term.is_dash and place and units[place - 1].term.subject in possible:
                continue
            break
        rule = unit.term.rule
        if rule is not None and rule.kind == "negation":
            if all(u.role in (Role.VERB, Role.GLUE, Role.WORD) for u in units[place + 1 : index]):
                return ""  # "is not enlarged" is a normal size, no finding
        if unit.term.subject in possible:
            return unit.term.subject
        if unit.role in HEADS:
            break
    for unit in units[index + 1 :]:
        if unit.term.subject in possible:
            return unit.term.subject
        if unit.role not in LINKS:
            break
    return ""


def _describes_finding(units: list[Unit], index: int) -> bool:
    """ "Enlarged left effusion", "the effusion is enlarged": the noun beside it is a finding."""
    for unit in units[index + 1 :]:
        if unit.role == Role.FINDING:
            return True
        if unit.role not in LINKS:
            break
    place = index - 1
    has_verb = False
    while place >= 0 and (units[place].role in (Role.VERB, *LINKS) or units[place].term.is_adverb):
        has_verb = has_verb or units[place].role == Role.VERB
        place -= 1
    return has_verb and place >= 0 and units[place].role == Role.FINDING


def _named_before(units: list[Unit], index: int, grammar: Grammar) -> str:
    """The finding that "those" in "those on the left" stands for; empty where it is no pronoun."""
    after = units[index + 1 : index + 5]
    if not after or after[0].role != Role.PREPOSITION or after[0].term.is_of:
        return ""
    if index and units[index - 1].role not in BEFORE_PRONOUN:
        return ""
    place = next((unit for unit in after if unit.role == Role.MODIFIER), None)
    if place is None or grammar.location.isdisjoint(place.term.means):
        return ""
    if any(unit.role in HEADS for unit in after[: after.index(place)]):
        return ""
    before = [unit.term.finding for unit in units[:index] if unit.role in HEADS]
    return before[-1] if before else ""


def _degrees_of_change(units: list[Unit], index: int) -> list[int]:
    """The places of the degrees that belong to the change at `index`."""
    after = units[index + 1] if index + 1 < len(units) else None
    is_noun = after is None or after.role not in NOT_AFTER_NOUN or units[index].term.is_forward
    found = []
    place = index - 1
    while place >= 0:
        unit = units[place]
        if unit.term.is_degree or (unit.term.is_size and is_noun):
            if not (unit.term.is_adverb or is_noun):
                break
            found.append(place)
        elif unit.role not in (Role.GLUE, Role.ARTICLE) and not _joins_degrees(units, place, found):
            break
        place -= 1
    if after is not None and after.term.is_adverb:
        further = units[index + 2] if index + 2 < len(units) else None
        if further is None or further.role not in NOT_AFTER_NOUN:
            found.append(index + 1)
    return found


def _joins_degrees(units: list[Unit], place: int, found: list[int]) -> bool:
    """ "mild to moderate increase": a word between two degrees of one change."""
    return (
        bool(found)
        and found[-1] == place + 1
        and place > 0
        and units[place - 1].term.is_degree
        and units[place].role in (Role.PREPOSITION, Role.AND, Role.OR)
    )


def _is_conjunction(units: list[Unit], index: int, grammar: Grammar) -> bool:
    """ "both the A and the B": a determiner follows, and a noun stands before the "and"."""
    if not units[index + 1].term.is_determiner or grammar.adjectives_follow:
        return False
    has_head = False
    for unit in units[index + 1 :]:
        if unit.role in HEADS:
            has_head = True
        elif unit.role == Role.AND:
            return has_head
    return False
