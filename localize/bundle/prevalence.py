"""`at_prevalence`: P(pneumonia) for a set of films with another share of opacities."""

from __future__ import annotations

import math

from data_manifests.support.errors import ConfigError


def at_prevalence(probability: float, reference: float, prevalence: float) -> float:
    """A probability that holds where the share of films with an opacity is `reference`, turned
    into the one that holds where it is `prevalence`.

    Bayes' rule with the films of either kind unchanged and only their shares different: the logit
    moves by logit(prevalence) - logit(reference). Elkan 2001, "The foundations of cost-sensitive
    learning", theorem 2; Saerens, Latinne and Decaestecker 2002, "Adjusting the outputs of a
    classifier to new a priori probabilities", section 2.2.

    Args:
        probability: in [0, 1].
        reference, prevalence: in (0, 1).
    """
    if prevalence == reference:
        return probability  # to the same bits
    with_opacity = probability * prevalence / reference
    without = (1 - probability) * (1 - prevalence) / (1 - reference)
    return with_opacity / (with_opacity + without)


def check_prevalence(value: object, *, name: str = "prevalence") -> float:
    """The share of films with an opacity that a user gives.

    Raises:
        ConfigError: no number between 0 and 1, or 0 or 1 itself.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and math.isfinite(value) and 0 < value < 1:  # type: ignore[operator, arg-type]
        return float(value)  # type: ignore[arg-type]
    raise ConfigError(
        f"{name}: expected a number above 0 and below 1, got {value!r}; give the share of your "
        "films that show an opacity, such as 0.1"
    )
