"""`Objective`: the losses of a batch of film-report pairs, and what validation measures."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from attributes.vectors.word_vectors import WordVectors
from detector.roi_store import RoiBatch, RoiStore
from localize.evaluation.film_boxes import make_film_boxes
from localize.evaluation.top_k_recall import box_recall_measure
from localize.network.config import LocalizerConfig, LocalizeTrainConfig
from localize.network.cross_attention import Similarities, cross_attention
from localize.network.localizer import Localizer, LocalizerOutput, Regions
from localize.network.ranking import rank_regions, rank_values
from localize.training.losses import (
    attribute_loss,
    batch_triplet_loss,
    detector_divergence,
    triplet_loss,
)
from localize.training.pairs import Pairs

VALIDATION_BATCH = 32
BOX_THRESHOLDS = np.array([0.25, 0.5])
MATCH_REPORTS = 8  # reports of a batch that each film is matched with; all would take minutes
RANKED = 10  # boxes per film that validation looks at; no film has so many true ones
MAX_POSITIVE_WEIGHT = 20.0  # a keyword seen in 1 of 100 reports must not drown the others


@dataclass(frozen=True)
class Objective:
    """Losses of a batch. `vectors` and `negatives` (K, W) are the words m and their negatives."""

    keywords: tuple[str, ...]
    vectors: Tensor
    negatives: Tensor
    negative_index: Tensor
    positive_weight: Tensor | None
    config: LocalizerConfig
    training: LocalizeTrainConfig

    def losses(
        self,
        model: Localizer,
        regions: Regions,
        lowest: Regions,
        pairs: Pairs,
        batch: np.ndarray[tuple[int], np.dtype[np.int64]],
    ) -> dict[str, Tensor]:
        """Loss parts of pairs `batch`, each (B,): triplet, bce, detector."""
        device = self.vectors.device
        targets = torch.from_numpy(pairs.targets[batch]).to(device)
        mask = torch.from_numpy(pairs.mask[batch]).to(device)
        words = torch.from_numpy(pairs.words[batch]).to(device)
        output = model(regions)
        if self.training.negatives == "lowest":
            triplet = self._printed_triplet(model, output, regions, lowest, words)
        else:
            triplet = self._batch_triplet(output, regions, words)
        return {
            "triplet": triplet * words.any(dim=1),
            "bce": attribute_loss(output.attribute_logits, targets, mask, self.positive_weight),
            "detector": detector_divergence(
                output.alpha, self.config.sharpness * regions.score_logits(), regions.mask
            ),
        }

    def total(self, losses: dict[str, Tensor]) -> Tensor:
        """The weighted sum of the parts, (B,)."""
        return (
            self.training.triplet_weight * losses["triplet"]
            + self.training.bce_weight * losses["bce"]
            + self.training.detector_weight * losses["detector"]
        )

    def similarities(
        self, fused: Tensor, alpha: Tensor, region_mask: Tensor, words: Tensor, vectors: Tensor
    ) -> Similarities:
        """Cross-attention with this configuration's constants; `words` (B, K) bool."""
        return cross_attention(
            fused,
            alpha,
            vectors,
            region_mask,
            words,
            lambda_a=self.config.lambda_a,
            lambda_b=self.config.lambda_b,
            axis=self.config.softmax_axis,
        )

    def _printed_triplet(
        self,
        model: Localizer,
        output: LocalizerOutput,
        regions: Regions,
        lowest: Regions,
        words: Tensor,
    ) -> Tensor:
        """Paper eq. 1: negatives are the film's lowest regions, and each word's negative."""
        positive = self.similarities(output.fused, output.alpha, regions.mask, words, self.vectors)
        fused_low = model.fuse(lowest)
        # S_roi does not use alpha; the lowest regions have none, so any weight will do.
        none = torch.zeros_like(lowest.scores)
        by_rois = self.similarities(fused_low, none, lowest.mask, words, self.vectors).roi
        # "right" is no negative of "left" in a report that says both.
        contrast = words & ~words[:, self.negative_index]
        by_words = self.similarities(
            output.fused, output.alpha, regions.mask, contrast, self.negatives
        ).text
        return triplet_loss(positive, by_rois, by_words, margin=self.training.margin)

    def _batch_triplet(self, output: LocalizerOutput, regions: Regions, words: Tensor) -> Tensor:
        """Negatives are the other films and reports of the batch (SCAN), hardest first."""
        similarity = self.similarity_matrix(output, regions.mask, words)
        same = (words[:, None, :] == words[None, :, :]).all(dim=2)
        usable = words.any(dim=1)[None, :] & words.any(dim=1)[:, None] & ~same
        return batch_triplet_loss(similarity, usable, margin=self.training.margin)

    def similarity_matrix(
        self, output: LocalizerOutput, region_mask: Tensor, words: Tensor
    ) -> Tensor:
        """S_text + S_roi of every film with every report of `words` (C, K), (B, C)."""
        columns = []
        for report in words:
            report_words = report.expand(len(output.fused), -1)
            pair = self.similarities(
                output.fused, output.alpha, region_mask, report_words, self.vectors
            )
            columns.append(pair.text + pair.roi)
        return torch.stack(columns, dim=1)


@dataclass(frozen=True)
class LocalizerScores:
    """Validation: mean `loss`, `match` (share of film-report pairs whose own report scores above
    another film's; .5 is chance) and `boxes` (mean of IoU@.25 and IoU@.5 at k = number of true
    boxes); None where undefined."""

    loss: float
    match: float | None
    boxes: float | None

    def as_metrics(self) -> dict[str, float | int | None]:
        """For `metrics.jsonl`."""
        return asdict(self)


def make_objective(
    words: WordVectors,
    train: Pairs,
    config: LocalizerConfig,
    training: LocalizeTrainConfig,
    device: torch.device,
) -> Objective:
    """The objective for these words; attribute weights from the training targets."""
    vectors = torch.from_numpy(words.vectors)
    negative_index = torch.from_numpy(words.negatives)
    weight = None
    if training.balance:
        positive = (train.targets * train.mask).sum(axis=0)
        negative = train.mask.sum(axis=0) - positive
        ratio = np.clip(negative / np.maximum(positive, 1), 1, MAX_POSITIVE_WEIGHT)
        weight = torch.from_numpy(ratio.astype(np.float32)).to(device)
    return Objective(
        keywords=words.keywords,
        vectors=vectors.to(device),
        negatives=vectors[negative_index].to(device),
        negative_index=negative_index.to(device),
        positive_weight=weight,
        config=config,
        training=training,
    )


@torch.no_grad()
def validate_localizer(
    model: Localizer, store: RoiStore, val: Pairs, objective: Objective, device: torch.device
) -> LocalizerScores:
    """Loss, pair matching and localization on validation pairs.

    Raises:
        FloatingPointError: a loss that is not finite; names the films.
    """
    was_training = model.training
    model.eval()
    totals, wins, comparisons = [], 0.0, 0
    boxes, values, films = [], [], []
    for start in range(0, len(val), VALIDATION_BATCH):
        batch = np.arange(start, min(start + VALIDATION_BATCH, len(val)))
        stored = store.read(val.rows[batch])
        regions = Regions.from_batch(stored, device)
        lowest = Regions.from_batch(store.read(val.rows[batch], lowest=True), device)
        losses = objective.losses(model, regions, lowest, val, batch)
        total = objective.total(losses)
        is_bad = ~torch.isfinite(total).cpu().numpy()
        if is_bad.any():
            named = ", ".join(val.image_ids[k] for k in batch[is_bad])
            raise FloatingPointError(f"validation: loss not finite on films {named}")
        totals.append(total)
        output = model(regions)
        words = torch.from_numpy(val.words[batch]).to(device)
        others = words[:MATCH_REPORTS]
        own = objective.similarities(
            output.fused, output.alpha, regions.mask, words, objective.vectors
        )
        similarity = objective.similarity_matrix(output, regions.mask, others)
        differs = (words[:, None, :] != others[None, :, :]).any(dim=2)
        differs &= words.any(dim=1)[:, None] & others.any(dim=1)[None, :]
        above = ((own.text + own.roi)[:, None] > similarity) & differs
        wins += float(above.sum())
        comparisons += int(differs.sum())
        for k, (film_boxes, film_values) in enumerate(
            _ranked(output, regions, stored, objective.config)
        ):
            boxes.append(film_boxes)
            values.append(film_values)
            films.append(np.full(len(film_values), start + k))
    model.train(was_training)
    return LocalizerScores(
        loss=float(torch.cat(totals).mean()),
        match=wins / comparisons if comparisons else None,
        boxes=_box_recall(
            np.concatenate(boxes), np.concatenate(values), np.concatenate(films), val
        ),
    )


def _ranked(
    output: LocalizerOutput, regions: Regions, stored: RoiBatch, config: LocalizerConfig
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Kept boxes (K, 4) film pixels and their rank values of each film of a batch."""
    values = rank_values(output.alpha_logits, regions.score_logits(), config.rank_by).cpu()
    ranked = []
    for k in range(len(values)):
        count = int(stored.mask[k].sum())
        film_boxes = torch.from_numpy(stored.boxes[k, :count])
        kept = rank_regions(film_boxes, values[k, :count], nms_iou=config.nms_iou, limit=RANKED)
        ranked.append((film_boxes[kept].double().numpy(), values[k, kept].double().numpy()))
    return ranked


def _box_recall(
    boxes: np.ndarray, values: np.ndarray, films: np.ndarray, val: Pairs
) -> float | None:
    true = [
        (film, box)
        for film, found in enumerate(val.boxes)
        for box in (found if found is not None else ())
    ]
    if not true:
        return None
    film_boxes = make_film_boxes(
        boxes,
        values,
        films.astype(np.int64),
        np.array([box for _, box in true]),
        np.array([film for film, _ in true], np.int64),
        films=len(val),
    )
    measure = box_recall_measure("iou", film_boxes.first(film_boxes.true_counts()), BOX_THRESHOLDS)
    return float(measure.values(np.ones((1, len(val)))).mean())
