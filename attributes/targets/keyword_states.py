"""`keyword_states`: what the pneumonia-like findings of a study state of each keyword."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from attributes.lexicon.entries import Lexicon

# The strongest statement wins: a left opacity that is there outweighs "no left consolidation".
# `unread`: nothing could be read of the report, so that a missing keyword means nothing.
STATES = ("present", "uncertain", "resolved", "absent", "unmentioned", "unread")
UNREAD = ("unread",)
STRENGTH = {state: rank for rank, state in enumerate(STATES)}
UNMENTIONED = STRENGTH["unmentioned"]


class Stated(Protocol):
    """Anything that states a finding with attributes."""

    @property
    def finding(self) -> str: ...

    @property
    def assertion(self) -> str: ...

    @property
    def attributes(self) -> tuple[str, ...]: ...


def keyword_states(findings: Iterable[Stated], lexicon: Lexicon) -> tuple[str, ...]:
    """One state of `STATES` for each keyword of the lexicon, in its order."""
    likes = lexicon.pneumonia_like
    strongest: dict[str, int] = {}
    for finding in findings:
        if finding.finding in likes:
            strength = STRENGTH[finding.assertion]
            for name in finding.attributes:
                if strength < strongest.get(name, UNMENTIONED):
                    strongest[name] = strength
    names = lexicon.keyword_names
    if not strongest:
        return ("unmentioned",) * len(names)
    return tuple([STATES[strongest.get(name, UNMENTIONED)] for name in names])
