"""`AnomalyQuery`: an anomaly of a report as the tokens that an aggregator reads."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attributes.anomalies.anomaly import PHRASE_CLASSES, Anomaly, StructuredReport
from data_manifests.support.arrays import Ints
from localize.volumes.network.report_tokens import ReportTokens


@dataclass(frozen=True)
class AnomalyQuery:
    """Tokens of an anomaly, counted among all tokens of its report.

    Args:
        head: tokens of the phrase that names the anomaly.
        phrases: the tokens of each of the nine classes (equation 4).
        organ: index of the organ class.
    """

    head: Ints
    phrases: tuple[Ints, ...]
    organ: int


def anomaly_query(anomaly: Anomaly, tokens: ReportTokens, organs: tuple[str, ...]) -> AnomalyQuery:
    """The tokens of an anomaly's phrases, by class (equations 2 to 4)."""
    by_class = []
    for name in PHRASE_CLASSES:
        found = [
            tokens.inside(phrase.start, phrase.end)
            for phrase in anomaly.phrases
            if phrase.phrase_class == name
        ]
        by_class.append(np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64))
    return AnomalyQuery(by_class[0], tuple(by_class), organs.index(anomaly.organ))


def readable_anomalies(report: StructuredReport, tokens: ReportTokens) -> list[Anomaly]:
    """The anomalies that may have a region: not denied or resolved, with a token of their own."""
    return [
        anomaly
        for anomaly in report.anomalies
        if anomaly.assertion in ("present", "uncertain")
        and len(tokens.inside(anomaly.head.start, anomaly.head.end))
    ]
