"""`loop_losses`: the printed loss as stacked cross attention is computed, report after report.

Re-derived from the paper's section 3.3 and SCAN's description, apart from
`localize.cross_attention`: the baseline of the benchmark, and an oracle of the tests.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from localize.losses import attribute_loss, detector_divergence
from localize.model import Localizer, Regions
from localize.objective import Objective
from localize.pairs import Pairs


def loop_losses(
    objective: Objective,
    model: Localizer,
    regions: Regions,
    lowest: Regions,
    pairs: Pairs,
    batch: NDArray[np.int64],
    *,
    all_films: bool,
    reports: int | None = None,
) -> dict[str, Tensor]:
    """The parts of `Objective.losses` with `negatives: lowest`, each (B,).

    With `all_films` each report meets every film of the batch, as in SCAN, whose score matrix has
    all pairs; the printed loss then takes its diagonal. Without, a report meets its own film only.
    Every film must have all of its regions. `reports` leaves the loop after so many of them: the
    score matrix of a whole batch takes 10 GB to differentiate.
    """
    output = model(regions)
    words = torch.from_numpy(pairs.words[batch])
    low = model.fuse(lowest)
    nothing = torch.zeros_like(output.alpha)
    triplet = []
    for k, named in enumerate(words[:reports]):
        present = [int(j) for j in torch.nonzero(named).flatten()]
        contrast = [j for j in present if int(objective.negative_index[j]) not in present]
        films = slice(None) if all_films else slice(k, k + 1)
        own = k if all_films else 0

        def scores(fused: Tensor, alpha: Tensor, m: Tensor) -> tuple[Tensor, Tensor]:
            return caption_scores(
                fused[films],  # noqa: B023 - called inside this turn of the loop
                alpha[films],  # noqa: B023
                m,
                lambda_a=objective.config.lambda_a,
                lambda_b=objective.config.lambda_b,
            )

        if not present:
            triplet.append(output.alpha.new_zeros(()))
            continue
        text, roi = scores(output.fused, output.alpha, objective.vectors[present])
        _, roi_low = scores(low, nothing, objective.vectors[present])
        text_other = text.new_zeros(len(text))
        if contrast:
            text_other, _ = scores(output.fused, output.alpha, objective.negatives[contrast])
        margin = objective.training.margin
        by_rois = (margin - roi[own] + roi_low[own]).clamp(min=0)
        by_words = (margin - text[own] + text_other[own]).clamp(min=0)
        triplet.append(by_rois + by_words)
    return {
        "triplet": torch.stack(triplet),
        "bce": attribute_loss(
            output.attribute_logits,
            torch.from_numpy(pairs.targets[batch]),
            torch.from_numpy(pairs.mask[batch]),
            objective.positive_weight,
        ),
        "detector": detector_divergence(
            output.alpha, objective.config.sharpness * regions.score_logits(), regions.mask
        ),
    }


def caption_scores(
    fused: Tensor, alpha: Tensor, words: Tensor, *, lambda_a: float, lambda_b: float
) -> tuple[Tensor, Tensor]:
    """S_text and S_roi of one report with F films, (F,) each.

    `fused` (F, R, D), `alpha` (F, R), `words` (W, D) the report's own words only. Inside a report
    everything is in matrices, as in SCAN.
    """
    caption = words.expand(len(fused), -1, -1)  # SCAN repeats the caption for every film
    cosines = functional.normalize(fused, dim=2) @ functional.normalize(caption, dim=2).mT
    clipped = functional.leaky_relu(cosines, 0.1)
    to_regions = torch.softmax(lambda_a * functional.normalize(clipped, dim=2), dim=1)
    to_words = torch.softmax(lambda_b * functional.normalize(clipped, dim=1), dim=2)
    attended = to_regions.mT @ (alpha[:, :, None] * fused)  # A_j
    text = functional.cosine_similarity(attended, caption, dim=2)
    roi = functional.cosine_similarity(to_words @ caption, fused, dim=2)  # B_i and phi_i
    return text.mean(dim=1), roi.mean(dim=1)
