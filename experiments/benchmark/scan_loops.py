"""The printed loss as SCAN computes it: one report at a time.

Re-derived from the paper's section 3.3 and SCAN's description, apart from
`localize.network.cross_attention`: the baseline of the benchmark, and an oracle of the tests.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from localize.network.localizer import Localizer, LocalizerOutput
from localize.training.objective import LowestTriplet, Objective
from localize.training.pair_batch import PairBatch
from localize.training.pair_similarity import PairSimilarity

CHUNK = 16  # reports differentiated at a time: the score matrix of a batch at once takes 10 GB


def loop_losses(objective: Objective, model: Localizer, batch: PairBatch) -> dict[str, Tensor]:
    """The losses of `Objective.parts` with `negatives: lowest`, each (B,).

    Each report is compared with its own film only. Every film must have all of its ROIs.
    """
    output, low, words = model(batch.regions), model.fuse(batch.lowest), batch.words
    triplet = _triplet(
        _printed(objective), output.fused, output.alpha, low, words, range(len(words)),
        all_films=False,
    )  # fmt: skip
    return {"triplet": triplet, **_other_losses(objective, model, output, batch)}


def backward_with_all_films(objective: Objective, model: Localizer, batch: PairBatch) -> Tensor:
    """Gradients of the same mean loss, added to the model's, as SCAN computes it; returns the loss.

    Each report is compared with every film of the batch: SCAN's score matrix has all pairs, and
    the printed loss takes its diagonal. Reports are differentiated a few at a time.
    """
    output, low, words = model(batch.regions), model.fuse(batch.lowest), batch.words
    ends = (output.fused, output.alpha, low)
    fused, alpha, lows = (end.detach().requires_grad_() for end in ends)
    value = torch.zeros(())
    for first in range(0, len(words), CHUNK):
        numbers = range(first, min(first + CHUNK, len(words)))
        one = _triplet(_printed(objective), fused, alpha, lows, words, numbers, all_films=True)
        part = one.sum() / len(words)
        part = objective.weights["triplet"] * part
        part.backward()  # type: ignore[no-untyped-call] # torch leaves Tensor.backward untyped
        value = value + part.detach()
    others = _other_losses(objective, model, output, batch)
    rest = objective.total({"triplet": torch.zeros(len(words)), **others}).mean()
    torch.autograd.backward([rest, *ends], [torch.ones(()), fused.grad, alpha.grad, lows.grad])
    return value + rest.detach()


def _printed(objective: Objective) -> LowestTriplet:
    triplet = objective.losses["triplet"]
    if not isinstance(triplet, LowestTriplet):
        raise TypeError(f"the triplet loss must be LowestTriplet, but got {type(triplet).__name__}")
    return triplet


def _other_losses(
    objective: Objective, model: Localizer, output: LocalizerOutput, batch: PairBatch
) -> dict[str, Tensor]:
    """The losses without attention, which have no loop to compare with."""
    names = ("bce", "detector")
    return {name: objective.losses[name](model, output, batch) for name in names}


def _triplet(
    printed: LowestTriplet,
    fused: Tensor,
    alpha: Tensor,
    low: Tensor,
    words: Tensor,
    numbers: range,
    *,
    all_films: bool,
) -> Tensor:
    """The triplet loss of the pairs `numbers`, one report at a time."""
    margin, similarity = printed.margin, printed.similarity
    losses = []
    for k in numbers:
        present = [int(j) for j in torch.nonzero(words[k]).flatten()]
        contrast = [j for j in present if int(printed.negative_index[j]) not in present]
        if not present:
            losses.append(alpha.new_zeros(()))
            continue
        films = slice(None) if all_films else slice(k, k + 1)
        own = k if all_films else 0
        text, roi = caption_scores(
            fused[films], alpha[films], similarity.vectors[present], similarity
        )
        nothing = torch.zeros_like(alpha[films])
        _, roi_low = caption_scores(low[films], nothing, similarity.vectors[present], similarity)
        loss = (margin - roi[own] + roi_low[own]).clamp(min=0)
        if contrast:
            text_other, _ = caption_scores(
                fused[films], alpha[films], printed.negatives[contrast], similarity
            )
            loss = loss + (margin - text[own] + text_other[own]).clamp(min=0)
        losses.append(loss)
    return torch.stack(losses)


def caption_scores(
    fused: Tensor, alpha: Tensor, words: Tensor, similarity: PairSimilarity
) -> tuple[Tensor, Tensor]:
    """S_text and S_roi of one report with F films, (F,) each.

    `fused` (F, R, D), `alpha` (F, R), `words` (W, D) the report's own words only. Inside a report
    everything is in matrices, as in SCAN.
    """
    caption = words.expand(len(fused), -1, -1)  # SCAN repeats the caption for every film
    cosines = functional.normalize(fused, dim=2) @ functional.normalize(caption, dim=2).mT
    clipped = functional.leaky_relu(cosines, 0.1)
    to_regions = torch.softmax(similarity.lambda_a * functional.normalize(clipped, dim=2), dim=1)
    to_words = torch.softmax(similarity.lambda_b * functional.normalize(clipped, dim=1), dim=2)
    attended = to_regions.mT @ (alpha[:, :, None] * fused)  # A_j
    text = functional.cosine_similarity(attended, caption, dim=2)
    roi = functional.cosine_similarity(to_words @ caption, fused, dim=2)  # B_i and phi_i
    return text.mean(dim=1), roi.mean(dim=1)
