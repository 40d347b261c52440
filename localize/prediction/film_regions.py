"""`FilmRegions`: what the whole model says about one film before calibration and cut-off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from data_manifests.support.arrays import Floats
from detector.proposals import Rois
from localize.bundle.calibration import RankedFilm
from localize.network.config import LocalizerConfig
from localize.network.localizer import Localizer, LocalizerOutput, Regions
from localize.network.ranking import rank_regions, rank_values

Ranking = Literal["localizer", "detector"]


@dataclass(frozen=True)
class FilmRegions:
    """The kept regions of one film, best first, and the film's attributes.

    `ranked` holds boxes and log alpha; `alpha` and `detector_scores` (K,); `attributes` (C,) the
    film's probabilities; `region_attributes` (K, C) the head's answer to each region alone; `fused`
    (K, W) their phi, for questions in words.
    """

    ranked: RankedFilm
    alpha: Floats
    detector_scores: Floats
    attributes: Floats
    region_attributes: Floats
    fused: Floats


def regions_of_films(
    rois: Sequence[Rois], sizes: Sequence[tuple[int, int]], device: torch.device
) -> Regions:
    """Proposals of B films, padded; `sizes` are width and height of the frame the boxes are in."""
    count = max(1, max(len(one.scores) for one in rois))
    width = rois[0].features.shape[1]
    features = torch.zeros(len(rois), count, width, device=device)
    geometry = torch.zeros(len(rois), count, 4, device=device)
    scores = torch.zeros(len(rois), count, device=device)
    mask = torch.zeros(len(rois), count, dtype=torch.bool, device=device)
    for k, (one, (frame_width, frame_height)) in enumerate(zip(rois, sizes, strict=True)):
        found = len(one.scores)
        frame = torch.tensor([frame_width, frame_height] * 2, device=device)
        features[k, :found] = one.features
        geometry[k, :found] = one.boxes / frame
        scores[k, :found] = one.scores
        mask[k, :found] = True
    return Regions(features, geometry, scores, mask)


@torch.inference_mode()
def film_regions(
    localizer: Localizer,
    regions: Regions,
    film_boxes: Sequence[Tensor],
    config: LocalizerConfig,
    *,
    ranking: Ranking,
    limit: int,
) -> list[FilmRegions]:
    """Rank the regions of B films; `film_boxes[k]` (R_k, 4) are their boxes in film pixels.

    `ranking` is by the localizer's alpha, or by the detector's own score: the baseline.
    """
    output: LocalizerOutput = localizer(regions)
    score_logits = regions.score_logits()
    if ranking == "detector":
        values = score_logits
    else:
        values = rank_values(output.alpha_logits, score_logits, config.rank_by)
    log_alpha = torch.log_softmax(values.float().masked_fill(~regions.mask, -torch.inf), dim=1)
    attributes = localizer.film_attributes(regions, output)
    alone = localizer.region_attributes(regions, output.fused)
    found = []
    for k, boxes in enumerate(film_boxes):
        kept = rank_regions(boxes, values[k, : len(boxes)], nms_iou=config.nms_iou, limit=limit)
        logits = score_logits[k, : len(boxes)]
        ranked = RankedFilm(
            xyxy=_numpy(boxes[kept]),
            log_alpha=_numpy(log_alpha[k, kept]),
            film_sum=float(torch.logsumexp(logits, dim=0)) if len(boxes) else -20.0,
            film_max=float(logits.max()) if len(boxes) else -20.0,
        )
        found.append(
            FilmRegions(
                ranked=ranked,
                alpha=_numpy(output.alpha[k, kept]),
                detector_scores=_numpy(regions.scores[k, kept]),
                attributes=_numpy(attributes[k]),
                region_attributes=_numpy(alone[k, kept]),
                fused=_numpy(output.fused[k, kept]),
            )
        )
    return found


def _numpy(tensor: Tensor) -> Floats:
    values: Floats = tensor.double().cpu().numpy()
    return values
