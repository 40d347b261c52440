"""`method_logits`: the logits of the test candidates by each method of the experiment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from attributes.vectors.word_vectors import WordVectors
from data_manifests.support.arrays import Floats32
from detector.detector import load_detector
from detector.film_maps import NO_REGION
from experiments.attention.labels import best_overlap, label_by_truth, label_candidates
from experiments.attention.pair_films import PairFilms, TestFilms
from experiments.attention.preset import AttentionPreset
from experiments.attention.printed import printed_logits
from experiments.attention.size_prior import size_prior_logits
from localize.network.config import LocalizerConfig, LocalizeTrainConfig
from localize.network.gate import Gate
from localize.network.localizer import build_localizer
from localize.training.objective import AttributeBce, LowestTriplet, Objective, PairLoss
from localize.training.pair_similarity import PairSimilarity
from localize.training.train_gate import (
    GateTraining,
    PrintedLosses,
    gate_logits,
    train_gate,
)

SOURCES = {
    "proposed": "words",
    "two_rounds": "words",
    "soft_targets": "words",
    "with_triplet": "words",
    "with_bce": "words",
    "own": "own",
    "shuffled": "shuffled",
    "finding": "finding",
    "sides": "sides",
    "truth": "truth",
}


@dataclass(frozen=True)
class SeedFilms:
    """What all methods of a seed share: its trained detector, hospital A's films with boxes (train
    and val), and hospital B's test films."""

    seed: int
    detector: Path
    boxed: TestFilms
    val: TestFilms
    test: TestFilms


def method_logits(
    method: str,
    films: SeedFilms,
    pairs: PairFilms,
    *,
    preset: AttentionPreset,
    words: WordVectors,
    device: torch.device,
) -> Floats32:
    """Logits (F, C) of the test films' candidates by a method trained on `pairs`."""
    test = films.test.maps
    if method == "retinanet":
        return test.logits
    if method == "best_available":
        return _oracle_logits(films.test)
    if method == "size_prior":
        return size_prior_logits(films.val, test)
    start = Gate.of_detector(load_detector(films.detector).model).to(device)
    training = preset.gate.model_copy(update={"seed": films.seed})
    rows = np.arange(len(test.image_ids))
    if method == "proposed_printed":
        return printed_logits(start, pairs, test, words, device, seed=films.seed)
    if method == "more_steps":
        boxed = films.boxed
        targets = label_by_truth(boxed.maps, boxed.true_boxes, preset.teacher.levels)
        steps = training.steps(sum(one.has_opacity is not None for one in pairs.reports))
        epochs = steps * training.batch_size / len(targets)
        longer = training.model_copy(update={"epochs": epochs, "min_steps": 1, "max_steps": None})
        gate = train_gate(start, boxed.maps, targets, longer, device)
        return gate_logits(gate, test, rows, device)
    gate = taught_gate(method, start, pairs, training, preset, words, device)
    return gate_logits(gate, test, rows, device)


def taught_gate(
    method: str,
    start: Gate,
    pairs: PairFilms,
    training: GateTraining,
    preset: AttentionPreset,
    words: WordVectors,
    device: torch.device,
) -> Gate:
    """The gate of the last round; a second round's targets come from the gate of the first."""
    teacher = preset.teacher
    if method == "soft_targets":
        teacher = teacher.model_copy(update={"labels": "soft"})
    weight = {"with_triplet": "triplet_weight", "with_bce": "bce_weight"}.get(method)
    if weight is not None:
        training = training.model_copy(update={weight: preset.printed_weight})
    scores, gate = pairs.maps.logits, start
    for number in range(2 if method == "two_rounds" else 1):
        if number > 0:
            scores = gate_logits(gate, pairs.maps, np.arange(len(pairs.reports)), device)
        targets = label_candidates(
            SOURCES[method], pairs, scores, teacher=teacher, seed=training.seed, device=device
        )
        printed = None if weight is None else printed_losses(pairs, training, words, device)
        gate = train_gate(start, pairs.maps, targets, training, device, printed)
    return gate


def printed_losses(
    pairs: PairFilms, training: GateTraining, words: WordVectors, device: torch.device
) -> PrintedLosses:
    """The paper's triplet and attribute losses with gates as alpha."""
    config = LocalizerConfig(film_evidence=False)
    with torch.random.fork_rng():
        torch.manual_seed(training.seed)
        localizer = build_localizer(
            config,
            feature_width=pairs.maps.maps.shape[2],
            word_width=words.vectors.shape[1],
            keywords=len(pairs.keywords),
        )
    localizer.roi_weights = None  # alpha are the gates
    similarity = PairSimilarity(
        torch.from_numpy(words.vectors).to(device),
        config.lambda_a,
        config.lambda_b,
        config.softmax_axis,
    )
    index = torch.from_numpy(words.negatives).to(device)
    losses: dict[str, PairLoss] = {}
    if training.triplet_weight > 0:
        losses["triplet"] = LowestTriplet(
            similarity, similarity.vectors[index], index, LocalizeTrainConfig().margin
        )
    if training.bce_weight > 0:
        losses["bce"] = AttributeBce()
    weights = {"triplet": training.triplet_weight, "bce": training.bce_weight}
    objective = Objective(losses, {name: weights[name] for name in losses}, similarity)
    return PrintedLosses(localizer, objective, pairs.words)


def _oracle_logits(test: TestFilms) -> Floats32:
    """The ceiling of any choice among the candidates: IoU with the true boxes."""
    logits = np.full(test.maps.logits.shape, NO_REGION, np.float32)
    for row, boxes in enumerate(test.true_boxes):
        if len(boxes):
            overlap = best_overlap(test.maps.boxes[row], boxes).clip(1e-6, 1 - 1e-6)
            logits[row] = np.log(overlap / (1 - overlap))
    return logits
