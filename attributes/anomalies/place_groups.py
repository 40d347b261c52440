"""`split_by_place`: "nodules in the right S1 and the left S6" are two anomalies (section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

from attributes.anomalies.ct_lexicon import CtLexicon
from attributes.grammar.units import Role, Unit

SIDES = frozenset({"left", "right"})
ANY_SIDE = SIDES | {"bilateral"}
# Between two words of one place: "the lateral segment of the right middle lobe".
INSIDE = frozenset({Role.GLUE, Role.ARTICLE, Role.PARTITIVE})

Run = list[int]  # indices of units


def join_runs(units: Sequence[Unit], indices: Sequence[int]) -> list[Run]:
    """Indices of units in runs between which only small words stand."""
    runs: list[Run] = []
    for index in sorted(set(indices)):
        between = units[runs[-1][-1] + 1 : index] if runs else []
        if runs and all(unit.role in INSIDE or unit.term.is_of for unit in between):
            runs[-1].append(index)
        else:
            runs.append([index])
    return runs


def split_by_place(
    units: Sequence[Unit], places: Sequence[int], lexicon: CtLexicon
) -> list[list[int]]:
    """The units of place of one anomaly as one group for each place; at least one group.

    A run with a zone or an organ is a place. Where it lacks the side it takes that of the run
    before ("right upper and middle lobes"); a side alone takes the zone of the run after it ("right
    and left lower lobes"). Words that refine a place ("posterior") go to the run before them, or to
    all where they come first.
    """
    runs = join_runs(units, places)
    real = [run for run in runs if _zones(units, run, lexicon)]
    bare = [run for run in runs if _only_side(units, run)]
    if len(real) >= 2:
        keys = {frozenset(_names(units, run)) - lexicon.generic for run in real}
        if len(keys) > 1:
            return [_with_refinements(units, runs, real, run, lexicon) for run in real]
    sides = {name for run in [*bare, *real] for name in _names(units, run) & SIDES}
    if len(sides) < 2 or len(real) > 1:
        return [sorted({index for run in runs for index in run})]
    groups = []
    for run in runs:
        if run in bare:
            shared = [at for other in real for at in other if not _is_side(units[at])]
            groups.append(sorted([*run, *shared]))
        elif run in real and _names(units, run) & SIDES:
            groups.append(run)
    return groups


def _names(units: Sequence[Unit], run: Run) -> set[str]:
    return {name for index in run for name in units[index].term.means}


def _zones(units: Sequence[Unit], run: Run, lexicon: CtLexicon) -> set[str]:
    return _names(units, run) - ANY_SIDE - lexicon.generic - lexicon.relative


def _only_side(units: Sequence[Unit], run: Run) -> bool:
    names = _names(units, run)
    return bool(names) and names <= SIDES


def _is_side(unit: Unit) -> bool:
    return bool(set(unit.term.means) & SIDES) and set(unit.term.means) <= ANY_SIDE


def _with_refinements(
    units: Sequence[Unit], runs: list[Run], real: list[Run], run: Run, lexicon: CtLexicon
) -> list[int]:
    """A place's run with the side it lacks, in a lung, and the words that refine it."""
    group = list(run)
    place = runs.index(run)
    in_lung = {lexicon.organ_of.get(name, "lung") for name in _zones(units, run, lexicon)} == {
        "lung"
    }
    if in_lung and not _names(units, run) & ANY_SIDE:
        earlier = [at for other in runs[:place] for at in other if _is_side(units[at])]
        group += earlier[-1:]
    for other in runs[place + 1 :]:
        if other in real:
            break
        if not _only_side(units, other):
            group += other
    for other in runs:
        if other in real:
            break
        if not _only_side(units, other):
            group += other
    return sorted(set(group))
