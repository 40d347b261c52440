"""The state of every keyword for a study: what its pneumonia-like findings say together."""

from __future__ import annotations

from collections.abc import Iterable

from attributes.lexicon import Lexicon
from attributes.structure import Finding

# The strongest statement wins: a left opacity that is there outweighs "no left consolidation".
STATES = ("present", "uncertain", "resolved", "absent", "unmentioned")
STRENGTH = {state: rank for rank, state in enumerate(STATES)}


def keyword_states(findings: Iterable[Finding], lexicon: Lexicon) -> tuple[str, ...]:
    """One state of `STATES` for each keyword of the lexicon, in its order."""
    names = lexicon.keyword_names
    likes = lexicon.pneumonia_like
    strongest = dict.fromkeys(names, STRENGTH["unmentioned"])
    for finding in findings:
        if finding.finding in likes:
            strength = STRENGTH[finding.assertion]
            for name in finding.attributes:
                if name in strongest and strength < strongest[name]:
                    strongest[name] = strength
    return tuple(STATES[rank] for rank in strongest.values())
