"""`TargetPolicy`: what the state of a keyword is worth as a training target, under a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from data_manifests.support.errors import ConfigError


@dataclass(frozen=True)
class TargetPolicy:
    """What each state becomes: 1.0, 0.0, or None for "not known, no loss here".

    `mask_sides_of_bilateral`: a bilateral finding lies on both sides, so an unmentioned "left" is
    then no negative; it is masked. `mask_silent_axes`: of a finding with attributes, those of an
    axis (zone, texture, ...) that the report does not mention are masked.
    """

    name: str
    present: float | None
    uncertain: float | None
    resolved: float | None
    absent: float | None
    unmentioned: float | None
    reason: str
    mask_sides_of_bilateral: bool = True
    mask_silent_axes: bool = False

    def value(self, state: str) -> float | None:
        """The target of a state, None where it is masked."""
        values: Mapping[str, float | None] = {
            "present": self.present,
            "uncertain": self.uncertain,
            "resolved": self.resolved,
            "absent": self.absent,
            "unmentioned": self.unmentioned,
            "unread": None,
        }
        return values[state]


POLICIES: Mapping[str, TargetPolicy] = {
    policy.name: policy
    for policy in (
        TargetPolicy(
            "axis-world",
            present=1.0,
            uncertain=None,
            resolved=0.0,
            absent=0.0,
            unmentioned=0.0,
            reason="A report that names a zone would name others; an axis left out is unknown.",
            mask_silent_axes=True,
        ),
        TargetPolicy(
            "closed-world",
            present=1.0,
            uncertain=None,
            resolved=0.0,
            absent=0.0,
            unmentioned=0.0,
            reason="Reports name what is there, so silence is a no; a hedge is no evidence.",
        ),
        TargetPolicy(
            "open-world",
            present=1.0,
            uncertain=None,
            resolved=0.0,
            absent=0.0,
            unmentioned=None,
            reason="Only explicit statements count: silence is no evidence. Few negatives remain.",
        ),
        TargetPolicy(
            "uncertain-positive",
            present=1.0,
            uncertain=1.0,
            resolved=0.0,
            absent=0.0,
            unmentioned=0.0,
            reason="A hedged opacity is usually seen, only its cause is in doubt.",
        ),
        TargetPolicy(
            "keyword",
            present=1.0,
            uncertain=0.0,
            resolved=0.0,
            absent=0.0,
            unmentioned=0.0,
            reason="The paper's text read literally: the attributes a report has are 1, others 0.",
            mask_sides_of_bilateral=False,
        ),
    )
}
DEFAULT_POLICY = "axis-world"


def get_policy(name: str) -> TargetPolicy:
    """A policy by name. Raises ConfigError for an unknown one."""
    if name not in POLICIES:
        raise ConfigError(f"target policy: expected one of {', '.join(POLICIES)}, got `{name}`")
    return POLICIES[name]
