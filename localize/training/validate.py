"""`validate_localizer`: loss, matching of pairs and box recall, to select the weights by."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from data_manifests.support.arrays import Floats, Ints
from detector.roi_store import RoiBatch, RoiStore
from localize.evaluation.film_boxes import make_film_boxes
from localize.evaluation.top_k_recall import box_recall_measure
from localize.network.localizer import Localizer, LocalizerOutput, Regions
from localize.network.ranking import Ranking, rank_regions, rank_values
from localize.training.objective import Objective
from localize.training.pair_batch import PairBatch, make_pair_batch
from localize.training.pairs import Pairs

BATCH = 32
BOX_THRESHOLDS = np.array([0.25, 0.5])
MATCH_REPORTS = 8  # reports of a batch that each film is matched with; all would take minutes
MAX_BOXES = 10  # ranked boxes of a film that are looked at; no film has so many true ones


@dataclass(frozen=True)
class LocalizerScores:
    """Mean `loss`; `match`, the share of (film, other report) comparisons in which the film's own
    report is more similar (.5 is chance); `boxes`, the mean of IoU@.25 and IoU@.5 at k = number of
    true boxes. None where undefined."""

    loss: float
    match: float | None
    boxes: float | None

    def as_metrics(self) -> dict[str, float | int | None]:
        """For `metrics.jsonl`."""
        return asdict(self)


@torch.no_grad()
def validate_localizer(
    model: Localizer, store: RoiStore, val: Pairs, objective: Objective, device: torch.device
) -> LocalizerScores:
    """Scores on validation pairs; the model stays in the mode it was in.

    Raises:
        FloatingPointError: a loss that is not finite; names the films.
    """
    was_training = model.training
    model.eval()
    totals, wins, comparisons = [], 0, 0
    boxes, values, films = [], [], []
    for start in range(0, len(val), BATCH):
        index = np.arange(start, min(start + BATCH, len(val)))
        stored = store.read(val.rows[index])
        regions = Regions.from_batch(stored, device)
        lowest = Regions.from_batch(store.read(val.rows[index], lowest=True), device)
        batch = make_pair_batch(regions, lowest, val, index, device)
        totals.append(_total_loss(model, objective, batch))
        output = model(regions)
        is_won, is_compared = _matches(objective, output, batch)
        wins += int(is_won.sum())
        comparisons += int(is_compared.sum())
        for k, (film_boxes, film_values) in enumerate(
            _ranked(output, regions, stored, objective.ranking)
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


def _total_loss(model: Localizer, objective: Objective, batch: PairBatch) -> Tensor:
    total = objective.total(objective.parts(model, batch))
    is_bad = (~torch.isfinite(total)).tolist()
    if any(is_bad):
        named = ", ".join(name for name, bad in zip(batch.image_ids, is_bad, strict=True) if bad)
        raise FloatingPointError(f"validation: loss not finite on films {named}")
    return total


def _matches(
    objective: Objective, output: LocalizerOutput, batch: PairBatch
) -> tuple[Tensor, Tensor]:
    """Whether each film is more similar to its own report than to each of the first C reports of
    the batch, and whether the two can be compared, (B, C) bool."""
    words, mask = batch.words, batch.regions.mask
    others = words[:MATCH_REPORTS]
    own = objective.similarity.of(output.fused, output.alpha, mask, words)
    similarity = objective.similarity.matrix(output, mask, others)
    differs = (words[:, None, :] != others[None, :, :]).any(dim=2)
    differs &= words.any(dim=1)[:, None] & others.any(dim=1)[None, :]
    return ((own.text + own.roi)[:, None] > similarity) & differs, differs


def _ranked(
    output: LocalizerOutput, regions: Regions, stored: RoiBatch, ranking: Ranking
) -> list[tuple[Floats, Floats]]:
    """Boxes (N, 4) in film pixels and their rank values (N,) of each film, best first."""
    values = rank_values(output.alpha_logits, regions.score_logits(), ranking.by).cpu()
    ranked = []
    for k in range(len(values)):
        count = int(stored.mask[k].sum())
        film_boxes = torch.from_numpy(stored.boxes[k, :count])
        kept = rank_regions(film_boxes, values[k, :count], nms_iou=ranking.nms_iou, limit=MAX_BOXES)
        ranked.append((film_boxes[kept].double().numpy(), values[k, kept].double().numpy()))
    return ranked


def _box_recall(boxes: Floats, values: Floats, films: Ints, val: Pairs) -> float | None:
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
