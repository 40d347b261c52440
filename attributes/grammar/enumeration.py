"""`enumerated_sides`: "effusions, moderate right, small left" are two findings."""

from __future__ import annotations

from collections.abc import Sequence

from attributes.grammar.clauses import HEADS
from attributes.grammar.units import Role, Unit

SEVERITIES = ("mild", "moderate", "severe")
SIDES = frozenset({"left", "right"})
PART_OF_ITEM = frozenset({Role.MODIFIER, Role.GLUE, Role.ARTICLE, Role.PREPOSITION, Role.PARTITIVE})
SEPARATES = frozenset({Role.COMMA, Role.AND})

Stated = list[tuple[str, int]]


def enumerated_sides(units: Sequence[Unit], finding: int, stated: Stated) -> list[Stated]:
    """The attributes of the finding at a unit, split where each side is described by itself.

    The noun is followed by a comma or colon and two or more items, each with one side and another
    attribute. Attributes from elsewhere go to every part.
    """
    items = _items_after(units, finding)
    if len(items) != 2:
        items = _items_before(units, finding)
        if not all({"small", "large", *SEVERITIES} & _names(units, item) for item in items):
            return [stated]  # "right upper and left lower lobe consolidations" are one finding
    if len(items) != 2:
        return [stated]
    sides = [_names(units, item) & SIDES for item in items]
    is_enumeration = (
        all(len(side) == 1 for side in sides)
        and sides[0] != sides[1]
        and all(sum(len(units[at].term.means) for at in item) > 1 for item in items)
    )
    if not is_enumeration or any(name == "bilateral" for name, _ in stated):
        return [stated]
    inside = {at for item in items for at in item}
    shared = [(name, at) for name, at in stated if at not in inside]
    return [[*shared, *((n, at) for at in item for n in units[at].term.means)] for item in items]


def _names(units: Sequence[Unit], item: Sequence[int]) -> set[str]:
    return {name for at in item for name in units[at].term.means}


def _items_before(units: Sequence[Unit], finding: int) -> list[list[int]]:
    """The modifiers right before a noun, item by item: "small left and moderate right"."""
    items: list[list[int]] = [[]]
    for at in range(finding - 1, -1, -1):
        role = units[at].role
        if role == Role.AND:
            items.append([])
        elif role == Role.MODIFIER:
            items[-1].insert(0, at)
        elif role not in (Role.GLUE, Role.ARTICLE):
            break
    return [item for item in items[::-1] if item]


def _items_after(units: Sequence[Unit], finding: int) -> list[list[int]]:
    """The modifiers after a noun, item by item; nothing where other words stand among them."""
    start = finding + 1
    if start >= len(units) or units[start].role not in (Role.COMMA, Role.VERB):
        return []
    items: list[list[int]] = [[]]
    for at in range(start + 1, len(units)):
        role = units[at].role
        if role in SEPARATES:
            items.append([])
        elif role == Role.MODIFIER:
            items[-1].append(at)
        elif role not in PART_OF_ITEM:
            return []
    return [item for item in items if item]


def paired_answers(units: list[Unit]) -> list[list[Unit]]:
    """ "Effusion (R/L): none / small" as two rows of units, one a side; else the units as they are.

    A slash stands between two sides, then a colon, then a slash between two answers.
    """
    colon = next((at for at, unit in enumerate(units) if unit.term.is_colon), -1)
    if colon < 0:
        return [units]
    label, answers = units[:colon], units[colon + 1 :]
    between = [at for at, unit in enumerate(label) if unit.term.is_slash]
    cuts = [at for at, unit in enumerate(answers) if unit.term.is_slash]
    if len(between) != 1 or len(cuts) != 1 or not 0 < between[0] < len(label) - 1:
        return [units]
    left, right = between[0] - 1, between[0] + 1
    sides = [set(label[at].term.means) for at in (left, right)]
    if sides not in ([{"left"}, {"right"}], [{"right"}, {"left"}]):
        return [units]
    first, second = answers[: cuts[0]], answers[cuts[0] + 1 :]
    if not first or not second or any(unit.role in HEADS for unit in answers):
        return [units]
    before = [unit for unit in label[:left] if unit.role != Role.COMMA]
    return [
        [*before, label[left], units[colon], *first],
        [*before, label[right], units[colon], *second],
    ]
