"""`evaluate_grounder`: scores of a split, by organ and anomaly type, and of denied anomalies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_manifests.volumes.volume_set import ReportedVolume, VolumeSet
from localize.evaluation.bootstrap import INTERVAL_PERCENT, patient_weights
from localize.volumes.evaluation.score_examples import (
    AnomalyScore,
    GroundingScores,
    mean_scores,
    score_examples,
)
from localize.volumes.inference.load_grounder import LoadedGrounder
from localize.volumes.inference.patches import chosen_precision
from localize.volumes.network.query import readable_anomalies
from localize.volumes.training.examples import make_examples

REPLICATES = 1000


@dataclass(frozen=True)
class Interval:
    """A 95 % interval."""

    low: float
    high: float


@dataclass(frozen=True)
class GroundingEvaluation:
    """Scores of a split.

    Args:
        scores: one for each marked anomaly.
        means: over anomalies.
        dice, accuracy: intervals of the means, by a bootstrap over patients.
        denied: how many anomalies the reports deny, and
        denied_without_map: the share of them that get no map.
    """

    scores: tuple[AnomalyScore, ...]
    means: GroundingScores
    dice: Interval
    accuracy: Interval
    denied: int
    denied_without_map: float | None

    def by_kind(self) -> dict[tuple[str, str], GroundingScores]:
        """Means for each (organ, type), as the paper's figure 4."""
        kinds = sorted({(item.organ, item.type) for item in self.scores})
        return {
            kind: mean_scores([item for item in self.scores if (item.organ, item.type) == kind])
            for kind in kinds
        }

    def as_table(self) -> dict[str, object]:
        """What JSON holds."""
        return {
            **self.means.as_metrics(),
            "dice_interval": [self.dice.low, self.dice.high],
            "accuracy_interval": [self.accuracy.low, self.accuracy.high],
            "denied": self.denied,
            "denied_without_map": self.denied_without_map,
            "by_kind": [
                {"organ": organ, "type": kind, **means.as_metrics()}
                for (organ, kind), means in self.by_kind().items()
            ],
        }


def evaluate_grounder(
    grounder: LoadedGrounder, volume_set: VolumeSet, split: str, *, cache: Path, seed: int
) -> GroundingEvaluation:
    """Ground the reports of a split and compare the maps with the marked regions.

    Raises:
        DataError: no such volumes, or one that cannot be read.
    """
    network, training = grounder.settings.network, grounder.settings.training
    volumes = volume_set.of_split(split)
    examples = make_examples(
        volume_set,
        volumes,
        grounder.vocabulary,
        grounder.structurer,
        spacing_mm=network.spacing_mm,
        cache=cache,
    )
    device = next(grounder.network.parameters()).device
    scores = score_examples(
        grounder.network,
        examples,
        patch=training.patch,
        use_anatomy=network.use_anatomy,
        precision=chosen_precision(training.precision, device),
    )
    patient_of = {item.volume_id: item.patient_id for item in volumes}
    denied, without = count_denied(grounder, volumes)
    return GroundingEvaluation(
        tuple(scores),
        mean_scores(scores),
        _interval(scores, patient_of, lambda item: item.score.dice, seed),
        _interval(scores, patient_of, lambda item: float(item.score.is_hit), seed),
        denied,
        without / denied if denied else None,
    )


def count_denied(grounder: LoadedGrounder, volumes: Sequence[ReportedVolume]) -> tuple[int, int]:
    """How many anomalies the reports deny, and how many of these get no map."""
    denied = without = 0
    for item in volumes:
        report = grounder.structurer.structure(item.report)
        mapped = readable_anomalies(report, grounder.vocabulary.tokenize(report))
        for one in item.anomalies:
            if one.assertion == "absent":
                denied += 1
                without += not any(
                    a.head.start < one.end and one.start < a.head.end for a in mapped
                )
    return denied, without


def _interval(
    scores: Sequence[AnomalyScore],
    patient_of: dict[str, str],
    value: Callable[[AnomalyScore], float],
    seed: int,
) -> Interval:
    """Of the mean over anomalies, with patients drawn again."""
    if not scores:
        return Interval(0.0, 0.0)
    patients = sorted({patient_of[item.volume_id] for item in scores})
    rows = np.array([patients.index(patient_of[item.volume_id]) for item in scores])
    weights = patient_weights(rows, range(REPLICATES), seed)
    means = weights @ np.array([value(item) for item in scores]) / weights.sum(axis=1)
    low, high = np.percentile(means, INTERVAL_PERCENT)
    return Interval(float(low), float(high))


def evaluation_lines(result: GroundingEvaluation) -> list[str]:
    """The scores as lines to read."""
    means = result.means
    lines = [
        f"{means.anomalies} anomalies: Dice {means.dice:.3f} "
        f"[{result.dice.low:.3f}, {result.dice.high:.3f}], mIoU {means.miou:.3f}, accuracy "
        f"{means.accuracy:.3f} [{result.accuracy.low:.3f}, {result.accuracy.high:.3f}]"
    ]
    if result.denied_without_map is not None:
        lines.append(
            f"{result.denied} denied anomalies, {result.denied_without_map:.1%} without map"
        )
    lines.append(f"{'organ':<14}{'type':<22}{'n':>4}{'Dice':>8}{'mIoU':>8}{'accuracy':>10}")
    for (organ, kind), one in result.by_kind().items():
        lines.append(
            f"{organ:<14}{kind:<22}{one.anomalies:>4}{one.dice:>8.3f}{one.miou:>8.3f}"
            f"{one.accuracy:>10.3f}"
        )
    return lines
