"""`printed_logits`: the paper's attention, taken literally, on the frozen features of the ROIs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from attributes.vectors.word_vectors import WordVectors
from data_manifests.support.arrays import Floats32, Ints
from detector.film_maps import NO_REGION, FilmMaps
from experiments.attention.pair_films import PairFilms
from localize.network.gate import Gate
from localize.network.localizer import Localizer, Regions, build_localizer
from localize.training.objective import AttributeBce, Objective, printed_triplet
from localize.training.pair_batch import PairBatch
from localize.training.pair_similarity import PairSimilarity
from localize.training.settings import localizer_settings
from localize.training.train_gate import GatePairs, corners_over_size, gate_maps

STEPS = 1500  # at most; the paper trained for 185 epochs
REGIONS = 100  # the paper's N
FILMS_TOGETHER = 128


def printed_logits(
    frozen: Gate,
    pairs: PairFilms,
    test: FilmMaps,
    words: WordVectors,
    device: torch.device,
    *,
    seed: int,
) -> Floats32:
    """log alpha of the test candidates, the preset `paper` on the frozen tower's features.

    T_n is each word's nearest keyword of any axis, also where the report names it.
    """
    settings = localizer_settings("paper", None, [f"training.seed={seed}"])
    config, training = settings.localizer, settings.training
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build_localizer(
            config,
            feature_width=pairs.maps.maps.shape[2],
            word_width=words.vectors.shape[1],
            keywords=len(pairs.keywords),
        ).to(device)
    vectors = torch.from_numpy(words.vectors).to(device)
    similarity = PairSimilarity(vectors, config.lambda_a, config.lambda_b, config.softmax_axis)
    triplet = printed_triplet(similarity, words.vectors, training.margin)
    objective = Objective(
        {"triplet": triplet, "bce": AttributeBce()},
        {"triplet": training.triplet_weight, "bce": training.bce_weight},
        similarity,
    )
    rows = np.flatnonzero(pairs.words.words.any(axis=1))  # findings with an attribute only
    parts = [
        _batch(frozen, pairs.maps, pairs.words, some, device)
        for some in np.array_split(rows, -(-len(rows) // FILMS_TOGETHER))
    ]
    everything = _joined(parts)
    features = everything.regions.features[everything.regions.mask]
    model.fusion.feature_mean.copy_(features.mean(dim=0))
    model.fusion.feature_std.copy_(features.std(dim=0).clamp(min=1e-3))
    optimizer = torch.optim.Adam(model.parameters(), lr=training.lr)
    steps = min(STEPS, training.epochs * len(rows) // training.batch_size + 1)
    order = np.random.default_rng(seed)
    model.train()
    for _ in range(steps):
        some = order.choice(len(rows), min(training.batch_size, len(rows)), replace=False)
        batch = _taken(everything, torch.from_numpy(some).to(device))
        loss = objective.total(objective.parts(model, batch)).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call] # torch leaves it untyped
        torch.nn.utils.clip_grad_norm_(model.parameters(), training.clip_norm)
        optimizer.step()
    model.eval()
    return _log_alpha(model, frozen, test, device)


@torch.no_grad()
def frozen_regions(frozen: Gate, films: FilmMaps, rows: Ints, device: torch.device) -> Regions:
    """The best ROIs of films with the detector's own features."""
    maps = gate_maps(frozen, films, rows, device)
    anchors = torch.from_numpy(films.anchors[rows, :REGIONS].astype(np.int64)).to(device)
    logits = torch.from_numpy(films.logits[rows, :REGIONS]).to(device)
    return Regions(
        features=maps.features(anchors),
        geometry=corners_over_size(films.boxes[rows, :REGIONS], films.sizes[rows], device),
        scores=logits.sigmoid(),
        mask=logits > NO_REGION,
    )


@torch.no_grad()
def _batch(
    frozen: Gate, films: FilmMaps, words: GatePairs, rows: Ints, device: torch.device
) -> PairBatch:
    maps = gate_maps(frozen, films, rows, device)
    low = torch.from_numpy(films.lowest_anchors[rows].astype(np.int64)).to(device)
    return PairBatch(
        image_ids=tuple(films.image_ids[row] for row in rows),
        regions=frozen_regions(frozen, films, rows, device),
        lowest=Regions(
            features=maps.features(low),
            geometry=corners_over_size(films.lowest_boxes[rows], films.sizes[rows], device),
            scores=maps.at(low).sigmoid(),
            mask=torch.ones_like(low, dtype=torch.bool),
        ),
        targets=torch.from_numpy(words.targets[rows]).to(device),
        target_mask=torch.ones(words.mask[rows].shape, device=device),
        words=torch.from_numpy(words.words[rows]).to(device),
    )


def _joined(parts: Sequence[PairBatch]) -> PairBatch:
    """All films in one batch: nothing frozen is computed twice."""

    def regions(name: str) -> Regions:
        return Regions(
            *(
                torch.cat([getattr(getattr(part, name), field) for part in parts])
                for field in ("features", "geometry", "scores", "mask")
            )
        )

    return PairBatch(
        tuple(name for part in parts for name in part.image_ids),
        regions("regions"),
        regions("lowest"),
        *(
            torch.cat([getattr(part, field) for part in parts])
            for field in ("targets", "target_mask", "words")
        ),
    )


def _taken(batch: PairBatch, rows: Tensor) -> PairBatch:
    """Some films of a batch."""

    def taken(regions: Regions) -> Regions:
        return Regions(
            regions.features[rows], regions.geometry[rows], regions.scores[rows], regions.mask[rows]
        )

    return PairBatch(
        tuple(batch.image_ids[k] for k in rows.tolist()),
        taken(batch.regions),
        taken(batch.lowest),
        batch.targets[rows],
        batch.target_mask[rows],
        batch.words[rows],
    )


@torch.no_grad()
def _log_alpha(model: Localizer, frozen: Gate, films: FilmMaps, device: torch.device) -> Floats32:
    found = np.full(films.logits.shape, NO_REGION, np.float32)
    for first in range(0, len(found), 128):
        rows = np.arange(first, min(first + 128, len(found)))
        regions = frozen_regions(frozen, films, rows, device)
        alpha = model(regions).alpha.clamp(min=1e-12).log()
        # A softmax sums to 1 on every film: the film's score is the detector's, added to all.
        best = regions.score_logits().masked_fill(~regions.mask, NO_REGION).amax(dim=1)
        logits = (alpha - alpha.amax(dim=1, keepdim=True)) + best[:, None]
        logits = logits.clamp(min=NO_REGION + 1).masked_fill(~regions.mask, NO_REGION)
        found[rows, :REGIONS] = logits.cpu().numpy()
    return found
