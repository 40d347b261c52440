"""`bind_modifiers`: which attribute belongs to which finding.

Four steps inside a clause. A modifier belongs to
1. the noun whose phrase it stands in ("patchy left basal opacity", "right middle and lower ..."),
2. else the noun before it ("opacity in the left base", "opacity is unchanged"), shared with the
   nouns joined to that one when they have no place of their own,
3. else the noun after it ("in the left base there is opacity"),
4. and a bare noun joined to a described one takes its place ("left consolidation and effusion").
5. "With adjacent ..." takes the side of the noun before.
Other nouns of the lexicon (fractures, clear lungs, the heart) take modifiers like findings do, and
so does an unknown noun before "with", so that those words reach no finding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from attributes.grammar.clauses import HEADS, Span
from attributes.grammar.units import Grammar, Role, Unit

# "left lower lobe posterior segment confluent opacity": strange words inside a noun phrase.
MAX_UNKNOWN_WORDS = 3
JOINERS = frozenset({Role.COMMA, Role.AND, Role.OR})
FILLERS = frozenset({Role.GLUE, Role.ARTICLE, Role.PARTITIVE, Role.WORD, Role.MODIFIER})

# Unit index of a noun -> (attribute, unit that states it) pairs, possibly repeated.
Bound = dict[int, list[tuple[str, int]]]


def bind_modifiers(units: Sequence[Unit], clause: Span, grammar: Grammar) -> Bound:
    """The attributes of every noun of a clause."""
    start, stop = clause
    heads, modifiers, has_with = [], [], False
    for index in range(start, stop):
        role = units[index].role
        if role in HEADS:
            heads.append(index)
        elif role == Role.MODIFIER:
            modifiers.append(index)
        elif role == Role.WITH:
            has_with = True
    bound: Bound = {head: _stated(units, head) for head in heads}
    if not heads or not (modifiers or any(bound.values())):
        return bound
    claimed: set[int] = set()
    bare = set()
    for head in heads:
        own = [
            index
            for index in _phrase_modifiers(units, start, head, grammar)
            if index not in claimed
        ]
        claimed.update(own)
        for index in reversed(own):
            bound[head] += _stated(units, index)
        if not own:
            bare.add(head)
    if has_with:
        claimed |= _modifiers_of_unknown_nouns(units, clause)
    unclaimed = [index for index in modifiers if index not in claimed]
    if unclaimed:
        placed = {head for head in heads if is_placed(bound[head], grammar)}
        places = Places(placed, {})
        for index in unclaimed:
            _attach(units, index, heads, bound, places, grammar)
    _share_forward(units, heads, bound, bare, grammar)
    _share_with_neighbours(units, heads, bound, grammar)
    return bound


def _phrase_modifiers(units: Sequence[Unit], start: int, head: int, grammar: Grammar) -> list[int]:
    """Indices of the modifiers in the noun phrase that ends with `head`, nearest first.

    Joined parts ("left and right basal ...") are read in segments; the last segment is given back
    when it turns out to belong to an earlier noun ("opacity in the right and left lower ...").
    """
    segments: list[list[int]] = [[]]
    crossed_verb = False
    unknown = 0
    index = head - 1
    while index >= start:
        unit = units[index]
        role = unit.role
        if role == Role.MODIFIER:
            segments[-1].append(index)
            unknown = 0
        elif role == Role.WORD:
            unknown += 1
            if unknown > MAX_UNKNOWN_WORDS:
                break
        elif role in JOINERS:
            if grammar.adjectives_follow or not segments[-1]:
                break
            segments.append([])
        elif role == Role.VERB:
            if crossed_verb or (grammar.adjectives_follow and segments[-1]):
                break
            crossed_verb = True
            segments.append([])
        elif role == Role.PREPOSITION:
            if _is_partitive(units, index, start, grammar):
                index -= 1
                continue
            if len(segments) > 1 and any(
                units[earlier].role in HEADS for earlier in range(start, index)
            ):
                segments.pop()
            break
        elif role in HEADS:
            if len(segments) > 1:
                segments.pop()
            break
        elif role == Role.RULE:
            rule = unit.term.rule
            if rule is None or rule.reach != "phrase" or rule.direction == "both":
                break
            if rule.links and _follows_noun(units, start, index):
                break  # "consolidation left base, possibly pneumonia"
        elif role in (Role.WITH, Role.OPENER, Role.ARTICLE):
            break
        index -= 1
    return [index for segment in segments for index in segment]


def _follows_noun(units: Sequence[Unit], start: int, index: int) -> bool:
    """Whether a noun and words that describe it stand before `index`, without a joint."""
    while index > start and units[index - 1].role in (*FILLERS, Role.COMMA, Role.PREPOSITION):
        index -= 1
        if units[index].role == Role.COMMA and units[index - 1].role not in FILLERS:
            return False
    return index > start and units[index - 1].role == Role.FINDING


def _modifiers_of_unknown_nouns(units: Sequence[Unit], clause: Span) -> set[int]:
    """ "Mild pectus excavatum with an opacity": "mild" belongs to the unknown noun."""
    claimed: set[int] = set()
    modifiers: list[int] = []
    strange = in_phrase = False
    for index in range(*clause):
        role = units[index].role
        if role == Role.MODIFIER:
            if strange:
                modifiers, strange = [], False
            if not in_phrase:
                modifiers.append(index)
        elif role in HEADS:
            return claimed
        elif role == Role.WORD:
            strange = bool(modifiers)
        elif role == Role.WITH:
            if strange:
                claimed.update(modifiers)
            modifiers, strange, in_phrase = [], False, False
        elif role not in (Role.GLUE, Role.ARTICLE):
            modifiers, strange = [], False
            in_phrase = role == Role.PREPOSITION
    return claimed


def _is_partitive(units: Sequence[Unit], index: int, start: int, grammar: Grammar) -> bool:
    """Whether the preposition at `index` joins, as in "areas of", "patches of", "increase in"."""
    if index == start:
        return False
    before, unit = units[index - 1], units[index]
    if before.role == Role.MODIFIER and not grammar.change.isdisjoint(before.term.means):
        return True
    return unit.term.is_of and before.role in (Role.PARTITIVE, Role.MODIFIER)


def _share_forward(
    units: Sequence[Unit], heads: Sequence[int], bound: Bound, bare: set[int], grammar: Grammar
) -> None:
    """Step 4: a bare noun takes the place of the one before, among like findings all attributes."""
    for previous, head in pairwise(heads):
        if head not in bare or units[head].role == Role.OTHER or units[previous].role == Role.OTHER:
            continue
        is_slashed = any(units[at].term.is_slash for at in range(previous + 1, head))
        if units[head].term.finding in grammar.apart and not is_slashed:
            continue
        if not _only_joined(units, previous, head):
            continue
        likes = grammar.pneumonia_like
        is_like = units[previous].term.finding in likes and units[head].term.finding in likes
        has_place = is_placed(bound[head], grammar)
        bound[head] += [
            (name, place)
            for name, place in bound[previous]
            if (not has_place if name in grammar.location else is_like)
        ]


def _share_with_neighbours(
    units: Sequence[Unit], heads: Sequence[int], bound: Bound, grammar: Grammar
) -> None:
    """Step 5: "elevated right hemidiaphragm with adjacent atelectasis" has one side."""
    for previous, head in pairwise(heads):
        if units[previous].role != Role.OTHER or is_placed(bound[head], grammar):
            continue
        if units[head].role != Role.FINDING:
            continue
        near = [at for at in range(previous + 1, head) if units[at].term.is_neighbour]
        if not near or units[near[0] - 1].role not in (Role.WITH, Role.AND, Role.COMMA):
            continue
        sides = [item for item in bound[previous] if grammar.axis_of[item[0]] == "laterality"]
        if len(sides) == 1:
            bound[head] += sides


def _only_joined(units: Sequence[Unit], left: int, right: int) -> bool:
    """Whether only commas, "and", "or", "versus" and filling words stand between two nouns."""
    joined = strange = by_comma = False
    for index in range(left + 1, right):
        unit = units[index]
        if unit.role in (Role.AND, Role.OR) or is_both_ways(unit):
            joined = True
        elif unit.role == Role.COMMA:
            by_comma = True
        elif unit.role == Role.WORD:
            strange = True
        elif unit.role not in (Role.GLUE, Role.ARTICLE):
            return False
    # ", triangular density" describes the second noun in words of its own.
    return joined or (by_comma and not strange)


def is_both_ways(unit: Unit) -> bool:
    """Whether the unit is a rule such as "versus", that stands between two findings."""
    rule = unit.term.rule
    return rule is not None and rule.direction == "both"


@dataclass(frozen=True, slots=True)
class Places:
    """`own`: nouns placed by their phrase; `shared`: noun -> the noun that gave its place."""

    own: set[int]
    shared: dict[int, int]


def _attach(
    units: Sequence[Unit],
    index: int,
    heads: Sequence[int],
    bound: Bound,
    places: Places,
    grammar: Grammar,
) -> None:
    """Steps 2 and 3: a modifier outside of every noun phrase."""
    stated = _stated(units, index)
    before = [head for head in heads if head < index]
    if units[index].term.is_forward and heads[-1] > index:
        bound[next(head for head in heads if head > index)] += stated
        return
    if before and _is_direction(units, index):
        bound[before[-1]] += stated
        return
    is_predicate = not grammar.change.isdisjoint(units[index].term.means) and (
        units[index - 1].role == Role.VERB if index else False
    )
    group = (
        _joined_before(units, before, across_phrases=is_predicate)
        if before
        else _joined_after(units, heads)
    )
    nearest = group[0]
    if is_predicate and before:
        for head in group:
            bound[head] += stated
        return
    if not before and _crosses_denial(units, index, nearest):
        stated = [(name, at) for name, at in stated if name in grammar.location]
    # It specifies a noun that has its place: "..., right greater than left", but "ETT, right line
    # unchanged" is about both.
    is_of_all = bool(before) and units[index].term.is_course and units[index - 1].role != Role.COMMA
    if nearest in places.own and not is_of_all:
        group = group[:1]
    for head in group:
        if head == nearest:
            bound[head] += stated
        elif head not in places.own and places.shared.get(head, nearest) == nearest:
            bound[head] += [
                (name, at)
                for name, at in stated
                if name in grammar.location or name in grammar.change
            ]
        if is_placed(stated, grammar):
            places.shared.setdefault(head, nearest)


def share_place(bound: Bound, source: int, target: int, grammar: Grammar) -> None:
    """Give `target` the location of `source` where it has none; not where the two sides differ."""
    sides = {name for name, _ in bound[source] if grammar.axis_of[name] == "laterality"}
    own = {grammar.axis_of[name]: name for name, _ in bound[target] if name in grammar.location}
    if "zone" in own or ("laterality" in own and own["laterality"] not in sides):
        return
    missing = {"laterality", "zone"} - set(own)
    bound[target] += [(name, at) for name, at in bound[source] if grammar.axis_of[name] in missing]


def _stated(units: Sequence[Unit], index: int) -> list[tuple[str, int]]:
    """The attributes that the unit at `index` states."""
    return [(name, index) for name in units[index].term.means]


def is_placed(stated: Sequence[tuple[str, int]], grammar: Grammar) -> bool:
    """Whether the attributes name a side or zone."""
    location = grammar.location
    for name, _ in stated:  # `any` of a generator costs thrice, and most nouns have no place
        if name in location:
            return True
    return False


def _is_direction(units: Sequence[Unit], index: int) -> bool:
    """Whether the modifier follows a direction: "shift to the left"."""
    place = index - 1
    while place >= 0 and units[place].role == Role.GLUE:
        place -= 1
    return place >= 0 and units[place].term.is_direction


def _crosses_denial(units: Sequence[Unit], index: int, head: int) -> bool:
    """Whether a joint and then a negation stand between: "a nodular pattern and no edema"."""
    joined = False
    for place in range(index + 1, head):
        rule = units[place].term.rule
        if joined and rule is not None and rule.kind == "negation":
            return True
        joined = joined or units[place].role in JOINERS or units[place].role == Role.WITH
    return False


def _joined_before(
    units: Sequence[Unit], heads: Sequence[int], *, across_phrases: bool
) -> list[int]:
    """The last noun and those joined to it, last first.

    `across_phrases`: "the opacity in the base and the effusion are stable" is one subject.
    """
    group = [heads[-1]]
    for left, right in zip(reversed(heads[:-1]), reversed(heads), strict=False):
        if not _in_one_group(units, left, right, across_phrases=across_phrases):
            break
        group.append(left)
    return group


def _joined_after(units: Sequence[Unit], heads: Sequence[int]) -> list[int]:
    """The first noun and those joined to it, first first."""
    group = [heads[0]]
    for left, right in pairwise(heads):
        if not _in_one_group(units, left, right):
            break
        group.append(right)
    return group


def _in_one_group(
    units: Sequence[Unit], left: int, right: int, *, across_phrases: bool = False
) -> bool:
    if across_phrases and any(units[at].role == Role.AND for at in range(left + 1, right)):
        skipped = Role.PREPOSITION
    else:
        skipped = Role.WITH
    roles = [units[at].role for at in range(left + 1, right)]
    if Role.COMMA in roles and Role.MODIFIER in roles and not {Role.AND, Role.OR} & set(roles):
        return False  # "no effusion, mild opacity in the lingula": two statements
    for index in range(left + 1, right):
        unit = units[index]
        if (
            unit.role == skipped
            or unit.role in JOINERS
            or unit.role in FILLERS
            or unit.role == Role.WITH
        ):
            continue
        if (
            unit.role == Role.RULE
            and unit.term.rule is not None
            and unit.term.rule.reach == "phrase"
        ):
            continue
        return False
    return True
