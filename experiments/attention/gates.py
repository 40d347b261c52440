"""`method_logits`: the logits of the test candidates by each method of the controlled experiment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
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
from localize.adaptation.report_teacher import OVERLAP
from localize.network.config import LocalizerConfig, LocalizeTrainConfig
from localize.network.gate import Gate
from localize.network.localizer import build_localizer
from localize.training.objective import AttributeBce, LowestTriplet, Objective, PairLoss
from localize.training.pair_similarity import PairSimilarity
from localize.training.train_gate import (
    GateTargets,
    GateTraining,
    PrintedLosses,
    gate_logits,
    train_gate,
)

SOURCES = {
    "proposed": "words",
    "no_rounds": "words",
    "hard_boxes": "words",
    "no_triplet": "words",
    "no_bce": "words",
    "matching_only": "words",
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
        targets = label_by_truth(films.boxed.maps, films.boxed.true_boxes)
        steps = training.steps(sum(one.has_opacity is not None for one in pairs.reports))
        longer = training.model_copy(
            update={
                "epochs": steps * training.batch_size / len(targets),
                "triplet_weight": 0.0,
                "bce_weight": 0.0,
            }
        )
        gate = train_gate(start, films.boxed.maps, targets, longer, device)
        return gate_logits(gate, test, rows, device)
    gate = _taught_gate(method, start, pairs, training, preset, words, device)
    return gate_logits(gate, test, rows, device)


def _taught_gate(
    method: str,
    start: Gate,
    pairs: PairFilms,
    training: GateTraining,
    preset: AttentionPreset,
    words: WordVectors,
    device: torch.device,
) -> Gate:
    """The gate of the last round; each round's targets come from the scores of the one before."""
    source = SOURCES[method]
    off = {
        "no_triplet": ("triplet_weight",),
        "no_bce": ("bce_weight",),
        "matching_only": ("triplet_weight", "bce_weight"),
        "truth": ("triplet_weight", "bce_weight"),
    }.get(method, ())
    training = training.model_copy(update=dict.fromkeys(off, 0.0))
    rounds = 1 if method in ("no_rounds", "truth") else preset.rounds
    label = partial(
        label_candidates,
        source,
        pairs,
        teacher=preset.teacher,
        seed=training.seed,
        device=device,
    )
    scores, gate = pairs.maps.logits, start
    for number in range(rounds):
        targets = label(scores)
        if method == "hard_boxes":
            targets = _hard(targets)
        is_last = number == rounds - 1
        printed = None
        if is_last and (training.triplet_weight > 0 or training.bce_weight > 0):
            printed = printed_losses(pairs, training, words, device)
        gate = train_gate(start, pairs.maps, targets, training, device, printed)
        if not is_last:
            scores = gate_logits(gate, pairs.maps, np.arange(len(pairs.reports)), device)
    return gate


def printed_losses(
    pairs: PairFilms, training: GateTraining, words: WordVectors, device: torch.device
) -> PrintedLosses:
    """The paper's triplet and attribute losses with gates as alpha."""
    config = LocalizerConfig(alpha="gate", film_evidence=False)
    with torch.random.fork_rng():
        torch.manual_seed(training.seed)
        localizer = build_localizer(
            config,
            feature_width=pairs.maps.maps.shape[2],
            word_width=words.vectors.shape[1],
            keywords=len(pairs.keywords),
        )
    similarity = PairSimilarity(
        torch.from_numpy(words.vectors).to(device), config.lambda_a, config.lambda_b, config.softmax_axis
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


def _hard(targets: GateTargets) -> GateTargets:
    """Each target as 0 or 1."""
    return replace(targets, values=(targets.values >= OVERLAP).astype(np.float32))


def _oracle_logits(test: TestFilms) -> Floats32:
    """The ceiling of any choice among the candidates: IoU with the true boxes."""
    logits = np.full(test.maps.logits.shape, NO_REGION, np.float32)
    for row, boxes in enumerate(test.true_boxes):
        if len(boxes):
            overlap = best_overlap(test.maps.boxes[row], boxes).clip(1e-6, 1 - 1e-6)
            logits[row] = np.log(overlap / (1 - overlap))
    return logits
