"""`Objective`: the weighted losses that a localizer is trained with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from attributes.vectors.negatives import nearest_keywords
from attributes.vectors.word_vectors import WordVectors
from data_manifests.support.arrays import Floats32
from localize.network.config import LocalizerConfig, LocalizeTrainConfig
from localize.network.localizer import Localizer, LocalizerOutput
from localize.network.ranking import Ranking
from localize.training.losses import (
    attribute_loss,
    batch_triplet_loss,
    detector_divergence,
    triplet_loss,
)
from localize.training.pair_batch import PairBatch
from localize.training.pair_similarity import PairSimilarity
from localize.training.pairs import Pairs

DEFAULT_RANKING = Ranking()
MAX_POSITIVE_WEIGHT = 20.0  # a keyword seen in 1 of 100 reports must not drown the others


class PairLoss(Protocol):
    """A loss of film-report pairs. Your own needs no more than this call."""

    def __call__(self, model: Localizer, output: LocalizerOutput, batch: PairBatch) -> Tensor:
        """One value for each pair, (B,); `output` is that of `model` on `batch.regions`."""
        ...


@dataclass(frozen=True)
class LowestTriplet:
    """Paper eq. 1. Negatives are the film's lowest-ranking regions, and each word's negative.

    `negatives` (K, W) are the vectors of the negatives, `negative_index` (K,) their positions.
    """

    similarity: PairSimilarity
    negatives: Tensor
    negative_index: Tensor
    margin: float
    is_literal: bool = False

    def __call__(self, model: Localizer, output: LocalizerOutput, batch: PairBatch) -> Tensor:
        """One value for each pair, (B,); 0 without words.

        A word whose negative is in the report has none, unless the loss `is_literal`. Without any
        negative the text term is 0.
        """
        mask, words = batch.regions.mask, batch.words
        positive = self.similarity.of(output.fused, output.alpha, mask, words)
        fused_low = model.fuse(batch.lowest)
        # S_roi does not use alpha; the lowest regions have none, so any weight will do.
        none = torch.zeros_like(batch.lowest.scores)
        by_rois = self.similarity.of(fused_low, none, batch.lowest.mask, words).roi
        # "right" is no negative of "left" in a report that says both.
        contrast = words if self.is_literal else words & ~words[:, self.negative_index]
        by_words = self.similarity.of(
            output.fused, output.alpha, mask, contrast, self.negatives
        ).text
        # margin - S + (S - margin): neither a value nor a gradient.
        by_words = torch.where(contrast.any(dim=1), by_words, positive.text - self.margin)
        return triplet_loss(positive, by_rois, by_words, margin=self.margin) * words.any(dim=1)


@dataclass(frozen=True)
class BatchTriplet:
    """Negatives are the other films and reports of the batch, hardest first (SCAN, VSE++)."""

    similarity: PairSimilarity
    margin: float

    def __call__(self, model: Localizer, output: LocalizerOutput, batch: PairBatch) -> Tensor:
        """One value for each pair, (B,); 0 without words."""
        words = batch.words
        similarity = self.similarity.matrix(output, batch.regions.mask, words)
        same = (words[:, None, :] == words[None, :, :]).all(dim=2)
        usable = words.any(dim=1)[None, :] & words.any(dim=1)[:, None] & ~same
        return batch_triplet_loss(similarity, usable, margin=self.margin) * words.any(dim=1)


@dataclass(frozen=True)
class AttributeBce:
    """Binary cross-entropy of the known attributes; `positive_weight` (K,) raises rare ones."""

    positive_weight: Tensor | None = None

    def __call__(self, model: Localizer, output: LocalizerOutput, batch: PairBatch) -> Tensor:
        """One value for each pair, (B,)."""
        return attribute_loss(
            output.attribute_logits, batch.targets, batch.target_mask, self.positive_weight
        )


@dataclass(frozen=True)
class DetectorKl:
    """KL(softmax(sharpness * logit s) || alpha): keeps alpha close to the detector's ranking."""

    sharpness: float

    def __call__(self, model: Localizer, output: LocalizerOutput, batch: PairBatch) -> Tensor:
        """One value for each pair, (B,)."""
        logits = self.sharpness * batch.regions.score_logits()
        return detector_divergence(output.alpha, logits, batch.regions.mask)


@dataclass(frozen=True)
class Objective:
    """Losses by name with their weights, and how validation compares pairs and ranks boxes.

    `needs_whole_batch`: films of a batch are each other's negatives, so it cannot be cut into parts
    to save memory.
    """

    losses: Mapping[str, PairLoss]
    weights: Mapping[str, float]
    similarity: PairSimilarity
    ranking: Ranking = DEFAULT_RANKING
    needs_whole_batch: bool = False

    def __post_init__(self) -> None:
        if not self.losses or self.losses.keys() != self.weights.keys():
            raise ValueError(
                f"weights must name the losses {sorted(self.losses)}, got {sorted(self.weights)}"
            )

    def parts(self, model: Localizer, batch: PairBatch) -> dict[str, Tensor]:
        """Each loss by its name, (B,) each."""
        output = model(batch.regions)
        return {name: loss(model, output, batch) for name, loss in self.losses.items()}

    def total(self, parts: Mapping[str, Tensor]) -> Tensor:
        """The weighted sum of the losses, (B,)."""
        weighted = [self.weights[name] * parts[name] for name in self.losses]
        total = weighted[0]
        for part in weighted[1:]:
            total = total + part
        return total


def build_objective(
    config: LocalizerConfig,
    training: LocalizeTrainConfig,
    words: WordVectors,
    train: Pairs,
    device: torch.device,
) -> Objective:
    """The objective of a configuration for these words; with `training.balance` attributes that are
    rare in the pairs `train` weigh more."""
    vectors = torch.from_numpy(words.vectors)
    negative_index = torch.from_numpy(words.negatives)
    similarity = PairSimilarity(
        vectors=vectors.to(device),
        lambda_a=config.lambda_a,
        lambda_b=config.lambda_b,
        axis=config.softmax_axis,
    )
    triplet: PairLoss = BatchTriplet(similarity, training.margin)
    if training.negatives == "printed":
        triplet = printed_triplet(similarity, words.vectors, training.margin)
    elif training.negatives == "lowest":
        triplet = LowestTriplet(
            similarity=similarity,
            negatives=vectors[negative_index].to(device),
            negative_index=negative_index.to(device),
            margin=training.margin,
        )
    weight = _positive_weight(train).to(device) if training.balance else None
    return Objective(
        losses={
            "triplet": triplet,
            "bce": AttributeBce(weight),
            "detector": DetectorKl(config.sharpness),
        },
        weights={
            "triplet": training.triplet_weight,
            "bce": training.bce_weight,
            "detector": training.detector_weight,
        },
        similarity=similarity,
        ranking=Ranking(by=config.rank_by, nms_iou=config.nms_iou),
        needs_whole_batch=training.negatives == "batch",
    )


def printed_triplet(similarity: PairSimilarity, vectors: Floats32, margin: float) -> LowestTriplet:
    """Eq. 1 taken literally: T_n has the nearest keyword of each word of T, of any axis, also where
    the report names it. `vectors` (K, W) are those of the keywords."""
    nearest = torch.from_numpy(nearest_keywords(vectors)).to(similarity.vectors.device)
    return LowestTriplet(similarity, similarity.vectors[nearest], nearest, margin, is_literal=True)


def _positive_weight(train: Pairs) -> Tensor:
    """Negatives over positives of each attribute (K,), within 1 and MAX_POSITIVE_WEIGHT."""
    positive = (train.targets * train.mask).sum(axis=0)
    negative = train.mask.sum(axis=0) - positive
    ratio = np.clip(negative / np.maximum(positive, 1), 1, MAX_POSITIVE_WEIGHT)
    return torch.from_numpy(ratio.astype(np.float32))
