"""`decide_assertions`: present, absent, uncertain or resolved, by the rules of the lexicon.

The passes and their order were re-derived from the published description of NegBio and the CheXpert
labeler: uncertainty that contains a negation ("cannot exclude"), then negation, then the rest. Here
these are ranks: of all rules that reach a finding, the one of the first rank decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
ENDS_PHRASE = frozenset({*SEPARATORS, Role.PREPOSITION, Role.WITH, Role.VERB})
FILLING = frozenset({Role.GLUE, Role.ARTICLE, Role.WORD})


@dataclass(frozen=True, slots=True)
class Decision:
    """The assertion of a finding, the rule that decided it, and the unit where that rule stands.

    `link_unit` is the unit of a rule that makes the finding an explanation of another, or -1;
    `means` are (attribute, unit) pairs that the rules reaching the finding give to it.
    """

    assertion: str
    rule: Rule | None = None
    rule_unit: int = -1
    link_unit: int = -1
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
    rules = {
        index: rule for index in range(start, stop) if (rule := units[index].term.rule) is not None
    }
    has_or = any([units[index].role == Role.OR for index in range(start, stop)])
    if not rules and not has_or:
        return {index: PRESENT for index in range(start, stop) if units[index].role == Role.FINDING}
    for index in _lifted_rules(units, clause, rules):
        rules.pop(index, None)
    reached: dict[int, list[tuple[int, int]]] = {}
    for index, rule in rules.items():
        for target in rule_targets(units, clause, index, rule):
            finding = units[target].term.finding
            if finding not in rule.spares and (not rule.only or finding in rule.only):
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
        rule = rules[place]
        assertion = ASSERTION_OF[rule.kind]
        if assertion == "absent" and _was_there(units, reached[index], rule):
            assertion = "resolved"
        if units[index].term.finding in rule.bygone and _is_bare(units, clause):
            assertion = "resolved"
        links = [at for _, at in reached[index] if assertion != "absent" and _links(units[at])]
        decisions[index] = Decision(assertion, rule, place, min(links, default=-1), means)
    if has_or:
        _mark_alternatives(units, clause, decisions)
    return decisions


def _is_bare(units: Sequence[Unit], clause: Span) -> bool:
    """Whether nothing is stated of a former illness: "prior pneumonia", not "... persists"."""
    for index in range(*clause):
        term = units[index].term
        if term.role == Role.VERB or term.is_course:
            return False
    return True


def _denies(unit: Unit) -> bool:
    return unit.term.rule is not None and unit.term.rule.kind == "negation"


def _links(unit: Unit) -> bool:
    return unit.term.rule is not None and unit.term.rule.links


def _lifted_rules(units: Sequence[Unit], clause: Span, rules: Mapping[int, Rule]) -> set[int]:
    """Denials of another film ("not seen on the prior"), and such phrases without a denial."""
    lifted: set[int] = set()
    for index, rule in rules.items():
        if not rule.lifts:
            continue
        if rule.direction == "forward":  # "until the opacity has cleared": it has not yet
            lifted.update(
                at for at, other in rules.items() if at > index and _ends_or_denies(other)
            )
            continue
        place = index - 1
        while place >= clause[0] and units[place].role in FILLING:
            place -= 1
        if place >= clause[0] and _denies_before(units[place]):
            lifted.add(place)
            continue
        lifted.add(index)
        # "On the prior study the opacity was not visible."
        if index <= clause[0] + 1:
            later = [at for at in range(index + 1, clause[1]) if _denies_before(units[at])]
            lifted.update(later[:1])
            if later:
                lifted.discard(index)
    return lifted


def _denies_before(unit: Unit) -> bool:
    """Whether the unit is a denial of what stands before it ("is not seen")."""
    rule = unit.term.rule
    return rule is not None and rule.kind == "negation" and rule.direction.startswith("backward")


def _ends_or_denies(rule: Rule) -> bool:
    return rule.kind in ("resolution", "negation") and rule.direction.startswith("backward")


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
    if direction == "value":
        if _is_value(units, clause, index):
            return _backward(units, clause, index, rule)
        return _forward(units, clause, index, rule)
    if direction == "forward_first":
        if _is_about_place(units, clause, index):
            return []
        targets = _forward(units, clause, index, rule)
        if targets or not _ends_phrase(units, index, clause[1]):
            return targets
        return _backward(units, clause, index, rule)
    return _backward(units, clause, index, rule) or _forward(units, clause, index, rule)


def _is_value(units: Sequence[Unit], clause: Span, index: int) -> bool:
    """Whether a word such as "no" answers what stands before: "Effusion: no", "PTX (none)"."""
    if index == clause[0] or not _ends_item(units, clause, index):
        return False
    return any(units[place].role in HEADS for place in range(clause[0], index))


def _ends_item(units: Sequence[Unit], clause: Span, index: int) -> bool:
    after = index + 1
    return after >= clause[1] or units[after].role in (Role.COMMA, Role.AND)


def _is_about_place(units: Sequence[Unit], clause: Span, index: int) -> bool:
    """ "Opacity on the right, likely in the middle lobe": the hedge is about the place alone."""
    return (
        clause[0] < index < clause[1] - 1
        and units[index - 1].role == Role.COMMA
        and units[index + 1].role == Role.PREPOSITION
        and not units[index + 1].term.is_of
    )


def _ends_phrase(units: Sequence[Unit], index: int, stop: int) -> bool:
    """Whether no noun of the rule's own follows: "opacity, likely", not "likely scar"."""
    place = index + 1
    return place >= stop or units[place].role in ENDS_PHRASE


def _forward(units: Sequence[Unit], clause: Span, index: int, rule: Rule) -> list[int]:
    targets: list[int] = []
    stop = clause[1]
    passed_verb = passed_or = in_phrase_of_target = False
    for place in range(index + 1, stop):
        unit = units[place]
        role = unit.role
        if role == Role.FINDING:
            if not in_phrase_of_target:
                targets.append(place)
        elif rule.reach == "comma":
            if role == Role.COMMA:
                break
        elif not targets or rule.reach == "clause":
            # Before the first finding only a new rule after a separator ends the reach, and, for a
            # rule about one phrase, the end of that phrase.
            if role in SEPARATORS and _next_rule_takes_over(units, place, stop):
                break
            if rule.kind == "negation" and role == Role.COMMA:
                is_noun = units[place - 1].role in (Role.WORD, Role.OTHER) and place > index + 1
                if is_noun and not _list_goes_on(units, place, stop, rule):
                    break  # "no osseous abnormality, mild atelectasis"
            if rule.reach == "phrase" and _phrase_ends(units, index, place, stop):
                break
            if rule.only and role == Role.PREPOSITION:
                break  # "following a swab, the cause of this pneumonia"
            # "no air bronchograms within the consolidation": a certain one, which is there.
            if role == Role.PREPOSITION:
                in_phrase_of_target = _leads_to_certain(units, place, stop, rule)
            elif role in SEPARATORS:
                in_phrase_of_target = False
        elif role == Role.WITH:
            if not (rule.kind == "uncertainty" and passed_or):
                break  # but "edema or malignancy with pneumonia" is one hedged list
        elif role == Role.VERB:
            passed_verb = True
        elif role == Role.PREPOSITION:
            # "no effusion despite atelectasis": what the preposition adds is there.
            in_phrase_of_target = in_phrase_of_target or _adds(unit, rule)
        elif role == Role.RULE:
            if rule.reach == "phrase" and _denies(unit):
                break
            if _links(unit):
                in_phrase_of_target = False  # "no opacity in the lungs to suggest pneumonia"
        elif role in SEPARATORS:
            if passed_verb or _next_rule_takes_over(units, place, stop):
                break
            if not _list_goes_on(units, place, stop, rule):
                break
            passed_or = passed_or or role == Role.OR
            if role != Role.AND:
                in_phrase_of_target = False
    return targets


def _adds(preposition: Unit, rule: Rule) -> bool:
    """Whether what follows a preposition lies outside of a denial or a hedge."""
    if rule.kind in ("negation", "pre_uncertainty"):
        return not preposition.term.is_of
    return rule.kind == "uncertainty" and preposition.term.is_given


def _leads_to_certain(units: Sequence[Unit], place: int, stop: int, rule: Rule) -> bool:
    """ "within the": a denied unknown noun, a preposition of place and a determiner."""
    return (
        rule.kind == "negation"
        and units[place - 1].role in (Role.WORD, Role.OTHER)
        and not units[place].term.is_of
        and place + 1 < stop
        and units[place + 1].term.is_determiner
    )


def _phrase_ends(units: Sequence[Unit], index: int, place: int, stop: int) -> bool:
    """Whether a rule about one phrase loses its reach at `place`, before it met a finding."""
    role = units[place].role
    rule = units[index].term.rule
    if role == Role.COMMA and rule is not None and rule.kind == "resolution":
        return True
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
    is_described = is_changed = False
    for place in range(separator + 1, stop):
        unit = units[place]
        role = unit.role
        if role in SEPARATORS:
            if place == separator + 1:  # ", and"
                continue
            break
        if role in HEADS:
            break
        if role == Role.MODIFIER:
            is_described = is_described or unit.term.describes
            is_changed = is_changed or unit.term.is_change or unit.term.means == ("stable",)
    if is_changed and rule.kind == "negation":
        return False  # what is stable or increased is there
    if any(units[place].role == Role.OR for place in range(separator + 1, stop)):
        return True
    if rule.reach == "phrase" and units[separator].role == Role.COMMA:
        return False
    if rule.kind == "uncertainty" and rule.reach == "list":
        rest = [units[place].role for place in range(separator + 1, stop)]
        if rest[:2] == [Role.AND, Role.ARTICLE]:  # ", and a small effusion" is a new statement
            return False
        return units[separator].role == Role.AND or Role.AND in rest
    return not is_described


def _backward(units: Sequence[Unit], clause: Span, index: int, rule: Rule) -> list[int]:
    targets: list[int] = []
    may_take = True  # the nearest noun, then only those joined to it
    is_list = False
    has_head = False  # a noun since the last separator
    is_short = rule.direction == "backward" and rule.reach == "phrase"
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
        elif role == Role.COMMA and not has_head and rule.kind == "uncertainty" and not is_list:
            # "Left basal shadowing, infective?": the question is about a word that is no finding.
            if rule.links and units[index - 1].role == Role.WORD and place < index - 1:
                break
        elif role == Role.COMMA and has_head:
            if not is_list:
                break
            may_take, has_head = True, False
        elif role == Role.WITH and targets:
            break
        elif role in (Role.PREPOSITION, Role.VERB, Role.RULE) and is_short:
            break  # "unchanged from a film two years ago"
        elif role in (Role.COMMA, Role.RULE) and rule.direction == "both":
            break
    return targets


def _mark_alternatives(units: Sequence[Unit], clause: Span, decisions: dict[int, Decision]) -> None:
    """ "A or B", where no rule speaks, states neither: both are uncertain."""
    previous = -1
    has_or = has_other = False
    for index in range(*clause):
        role = units[index].role
        if role == Role.OR:
            has_or, has_other = True, False
        elif role in (Role.VERB, Role.PREPOSITION, Role.WITH, Role.OPENER, Role.RULE):
            previous, has_or = -1, False
        elif role == Role.COMMA and has_other:
            previous, has_or = -1, False  # "A or another noun, B": the alternative is complete
        elif role in (Role.OTHER, Role.WORD):
            has_other = has_or
        elif role == Role.FINDING:
            if has_or and previous >= 0:
                if decisions[previous] is PRESENT and decisions[index] in (PRESENT, ALTERNATIVE):
                    decisions[previous] = ALTERNATIVE
                if decisions[previous] is ALTERNATIVE and decisions[index] is PRESENT:
                    decisions[index] = ALTERNATIVE
            previous, has_or = index, False
