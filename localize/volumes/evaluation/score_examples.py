"""`score_examples`: the maps of marked anomalies against their regions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from localize.volumes.evaluation.scores import MISSED, MapScore, score_map
from localize.volumes.inference.patches import predict_maps
from localize.volumes.network.grounder import VolumeGrounder
from localize.volumes.training.examples import GroundingExample


@dataclass(frozen=True)
class AnomalyScore:
    """The score of a marked anomaly of a volume; `is_found`: the structurer found it."""

    volume_id: str
    type: str
    organ: str
    place: str
    is_found: bool
    score: MapScore


@dataclass(frozen=True)
class GroundingScores:
    """Means over anomalies."""

    anomalies: int
    dice: float
    miou: float
    accuracy: float

    def as_metrics(self) -> dict[str, float | int | None]:
        """The line of an epoch."""
        return {
            "anomalies": self.anomalies,
            "dice": self.dice,
            "miou": self.miou,
            "accuracy": self.accuracy,
        }


def score_examples(
    network: VolumeGrounder,
    examples: Sequence[GroundingExample],
    *,
    patch: tuple[int, int, int],
    use_anatomy: bool,
    precision: torch.dtype,
) -> list[AnomalyScore]:
    """Every marked anomaly with a region; one that the structurer did not find scores nothing."""
    scores = []
    for example in examples:
        image = np.asarray(example.read_image(use_anatomy=use_anatomy))
        regions = example.read_regions()
        maps = predict_maps(
            network, image, example.tokens, example.queries, patch=patch, precision=precision
        )
        found = {row: number for number, row in enumerate(example.region_of)}
        for row, marked in enumerate(example.marked):
            region = np.asarray(regions[row])
            if not region.any():
                continue
            is_found = row in found
            score = score_map(maps[found[row]], region) if is_found else MISSED
            scores.append(
                AnomalyScore(
                    example.volume_id, marked.type, marked.organ, marked.place, is_found, score
                )
            )
    return scores


def mean_scores(scores: Sequence[AnomalyScore]) -> GroundingScores:
    """The means over anomalies; all 0 without any."""
    if not scores:
        return GroundingScores(0, 0.0, 0.0, 0.0)
    return GroundingScores(
        len(scores),
        float(np.mean([item.score.dice for item in scores])),
        float(np.mean([item.score.miou for item in scores])),
        float(np.mean([item.score.is_hit for item in scores])),
    )
