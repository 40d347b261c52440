"""`teach_by_reports`: which of a film's ROIs its report points to, as targets for a gate.

The cross-attention of a report's words and a film's ROIs. For each opacity that the report names,
its place is a distribution over the C candidates i of the film,

    q_i ~ exp(sharpness * score_i) * P(words | box_i) ** word_weight    on the side it names,

with the word priors of `word_priors`: how much each word attends to a box of this place and size.
The teacher's box is the candidate that most of q agrees with: the sum of q over candidates with an
IoU of .5 or more is the highest. Many candidates that agree thus outweigh a single one. A
candidate's target is the share of `Teacher.levels` that its IoU with a teacher's box reaches, so
that the better of two overlapping boxes has the higher one. With `soft` labels it is the
probability that the candidate lies on a box drawn from q. A film may have several opacities.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from data_manifests.support.arrays import Bools, Floats, Floats32, Ints
from detector.config import Fraction, Frozen
from detector.film_maps import NO_REGION, FilmMaps
from localize.adaptation.opacity_words import FilmWords
from localize.adaptation.word_priors import WordPriors, box_features, fit_word_priors
from localize.training.train_gate import GateTargets

OVERLAP = 0.5  # IoU from which a candidate lies on an opacity
CHUNK = 32  # films at a time: C x C overlaps of each
EXCLUDED = -1e9


class Teacher(Frozen):
    """Constants of the teacher. They were chosen on development phantoms: docs/method.md."""

    sharpness: float = Field(1.0, gt=0)
    word_weight: float = Field(0.6, ge=0, description="below 1 since words repeat each other")
    labels: Literal["soft", "mode"] = "mode"
    levels: tuple[Fraction, ...] = Field((0.5, 0.6, 0.7, 0.8), min_length=1)
    rounds: int = Field(3, ge=1, description="of refitting the priors on the boxes they choose")


@dataclass(frozen=True)
class Opacities:
    """The opacities of reports as rows: `film` (N,) positions, `side` (N,) -1 not said, 0 right, 1
    left (of the patient), `words` (N, K)."""

    film: Ints
    side: Ints
    words: Bools


def teach_by_reports(
    films: FilmMaps,
    reports: Sequence[FilmWords],
    keywords: Sequence[str],
    scores: Floats32,
    *,
    teacher: Teacher,
    priors: WordPriors | None,
    device: torch.device,
) -> GateTargets:
    """Targets of all films whose report states or denies an opacity.

    `scores` (F, C) are logits of the candidates: the detector's, or those of a gate of an earlier
    round. `priors` start the rounds (such as those of `priors_of_boxes`); None starts from the
    places of the best scores.
    """
    opacities = collect_opacities(reports, len(keywords))
    if teacher.word_weight > 0 and len(opacities.film):
        features = _features(films)
        for _ in range(teacher.rounds):
            chosen = _attend(films, opacities, scores, teacher, priors, features, device, best=True)
            priors = fit_word_priors(
                features[opacities.film, chosen],
                opacities.words,
                np.ones_like(opacities.words),
                keywords,
            )
        values = _attend(films, opacities, scores, teacher, priors, features, device, best=False)
    else:
        values = _attend(films, opacities, scores, teacher, None, None, device, best=False)
    rows = np.array([k for k, one in enumerate(reports) if one.has_opacity is not None], np.int64)
    return targets_of(films, rows, values[rows])


def targets_of(films: FilmMaps, rows: Ints, values: Floats32) -> GateTargets:
    """Targets of films `rows` (P,) with `values` (P, C); candidates without area do not count."""
    return GateTargets(rows, values, (films.logits[rows] > NO_REGION).astype(np.float32))


def collect_opacities(reports: Sequence[FilmWords], keywords: int) -> Opacities:
    """All opacities of the reports."""
    rows = [(k, one) for k, film in enumerate(reports) for one in film.opacities]
    side = {None: -1, "right": 0, "left": 1}
    return Opacities(
        film=np.array([k for k, _ in rows], np.int64),
        side=np.array([side[one.side] for _, one in rows], np.int64),
        words=np.array([one.words for _, one in rows], bool).reshape(-1, keywords),
    )


def shuffle_reports(reports: Sequence[FilmWords], seed: int) -> list[FilmWords]:
    """The control: films keep whether they have an opacity, and get the words of another one."""
    positive = [k for k, one in enumerate(reports) if one.has_opacity]
    order = np.random.default_rng(seed).permutation(len(positive))
    shuffled = list(reports)
    for k, other in zip(positive, order, strict=True):
        shuffled[k] = reports[positive[other]]
    return shuffled


def _features(films: FilmMaps) -> Floats32:
    """Place and size (F, C, 6) of the candidates."""
    flat = films.boxes.reshape(-1, 4).astype(np.float64)
    scale = np.repeat(films.sizes, films.boxes.shape[1], axis=0)
    unit = flat / np.tile(scale, 2)
    return box_features(unit, 1.0, 1.0).reshape(*films.boxes.shape[:2], -1).astype(np.float32)


def _attend(
    films: FilmMaps,
    opacities: Opacities,
    scores: Floats32,
    teacher: Teacher,
    priors: WordPriors | None,
    features: Floats32 | None,
    device: torch.device,
    *,
    best: bool,
) -> np.ndarray:
    """The best candidate of each opacity (N,), or the targets of all candidates (F, C)."""
    count = films.anchors.shape[1]
    chosen = np.zeros(len(opacities.film), np.int64)
    values = np.zeros((len(films.image_ids), count), np.float32)
    left = (films.boxes[..., 0] + films.boxes[..., 2]) > films.sizes[:, :1]
    for part in _chunks(opacities.film):
        film = opacities.film[part]
        logits = np.where(
            films.logits[film] > NO_REGION, teacher.sharpness * scores[film], EXCLUDED
        )
        side = opacities.side[part]
        is_there = (side[:, None] < 0) | (left[film] == (side[:, None] == 1))
        is_there |= ~(is_there & (logits > EXCLUDED)).any(axis=1, keepdims=True)
        q = torch.from_numpy(np.where(is_there, logits, EXCLUDED)).to(device, torch.float64)
        if priors is not None and features is not None:
            seen = torch.from_numpy(features[film]).to(device, torch.float64)
            words = torch.from_numpy(opacities.words[part]).to(device)
            q = q + teacher.word_weight * _log_likelihood(priors, seen, words)
        if best:
            chosen[part] = q.argmax(dim=1).cpu().numpy()
            continue
        boxes = torch.from_numpy(films.boxes[film]).to(device)
        overlap = pairwise_iou(boxes)
        agree = (overlap >= OVERLAP).double()
        on_it = torch.einsum("ncd,nd->nc", agree, q.softmax(dim=1)).clamp(0, 1)
        if teacher.labels == "mode":
            centre = on_it.argmax(dim=1)
            near = overlap[torch.arange(len(centre)), centre]
            on_it = torch.stack([near >= level for level in teacher.levels]).double().mean(dim=0)
        for row, one in zip(film, on_it.cpu().numpy(), strict=True):
            values[row] = 1 - (1 - values[row]) * (1 - one)
    return chosen if best else values


def _log_likelihood(priors: WordPriors, features: Tensor, words: Tensor) -> Tensor:
    """log P(words | box), (N, C), up to a constant, as `WordPriors.log_likelihood`."""

    def on(array: Floats) -> Tensor:
        return torch.from_numpy(np.asarray(array)).to(features)

    unit = (features - on(priors.mean)) / on(priors.std)
    logits = unit @ on(priors.weights).T + on(priors.bias)
    chance = logits.sigmoid().clamp(0.01, 0.99)
    present = words[:, torch.from_numpy(priors.index).to(words.device)][:, None, :]
    return torch.where(present, chance.log(), (1 - chance).log()).sum(dim=2)


def pairwise_iou(boxes: Tensor) -> Tensor:
    """IoU of all pairs of boxes (N, C, 4) of each film, (N, C, C)."""
    low = torch.maximum(boxes[:, :, None, :2], boxes[:, None, :, :2])
    high = torch.minimum(boxes[:, :, None, 2:], boxes[:, None, :, 2:])
    shared = (high - low).clamp(min=0).prod(dim=-1)
    area = (boxes[..., 2:] - boxes[..., :2]).prod(dim=-1)
    return shared / (area[:, :, None] + area[:, None, :] - shared).clamp(min=1e-6)


def _chunks(film: Ints) -> Iterator[slice]:
    for first in range(0, len(film), CHUNK):
        yield slice(first, min(first + CHUNK, len(film)))
