"""`FilmRegions`: the ranked regions of one film, before calibration and cut-off."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from data_manifests.laterality import WHOLE_FILM, LungBorders
from data_manifests.support.arrays import Floats
from detector.film_stream import StreamedFilm
from detector.lungs.lung_fields import LungFields
from detector.proposals import Rois
from localize.inference.choices import Ranking
from localize.network.config import LocalizerConfig
from localize.network.localizer import Localizer, LocalizerOutput, Regions
from localize.network.ranking import rank_regions, rank_values

NO_REGIONS_LOGIT = -20.0  # of a film without any region
TAIL_RANKS = (10, 30, 99)  # from 0
LEAST_EXTENT = 1e-4  # share of a film: its log stays finite


@dataclass(frozen=True)
class FilmRegions:
    """K regions of one film of C keywords, best first, with the outputs of the networks.

    Args:
        width, height: of the film, px.
        xyxy: (K, 4) in pixels of the film.
        log_alpha: (K,) log of the weights that rank the regions.
        alpha: (K,) the localizer's weights.
        detector_scores: (K,) in [0, 1].
        region_attributes: (K, C) keyword probabilities of each region alone.
        fused: (K, W) region embeddings phi in the space of the word vectors.
        attributes: (C,) keyword probabilities of the film.
        film_sum, film_max: log-sum-exp and maximum of the detector's logits over all regions.
        film_tail: (4,) the detector's logits at the ranks of TAIL_RANKS, and log of the share of
            the film that its regions are expected to cover (sum of areas times scores).
        borders: sides and zones of the film; whoever segments it sets those of its own lungs.
        lungs: its lung fields in the model's frame, where they were asked for.
    """

    width: int
    height: int
    xyxy: Floats
    log_alpha: Floats
    alpha: Floats
    detector_scores: Floats
    region_attributes: Floats
    fused: Floats
    attributes: Floats
    film_sum: float
    film_max: float
    film_tail: Floats
    borders: LungBorders = WHOLE_FILM
    lungs: LungFields | None = None


def pad_regions(
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
def rank_films(
    localizer: Localizer,
    rois: Sequence[Rois],
    films: Sequence[StreamedFilm],
    config: LocalizerConfig,
    *,
    ranking: Ranking = "localizer",
    limit: int,
) -> list[FilmRegions]:
    """Rank the proposals of B films that went through the detector in one batch.

    At most `limit` regions a film remain after non-maximum suppression. `ranking` is by the
    localizer's alpha, or by the detector's own score: the baseline.
    """
    device = rois[0].boxes.device
    # Geometry is a share of the film, so the model's frame serves as well as the film's.
    frames = [
        (film.image.shape[2], film.image.shape[1]) for film in films if film.image is not None
    ]
    regions = pad_regions(rois, frames, device)
    output: LocalizerOutput = localizer(regions)
    score_logits = regions.score_logits()
    if ranking == "detector":
        values = score_logits
    else:
        values = rank_values(output.alpha_logits, score_logits, config.rank_by)
    log_alpha = torch.log_softmax(values.float().masked_fill(~regions.mask, -torch.inf), dim=1)
    attributes = localizer.film_attributes(regions, output)
    alone = localizer.region_attributes(regions, output.fused)
    ranked = []
    for k, (one, film) in enumerate(zip(rois, films, strict=True)):
        boxes = _film_boxes(one.boxes, film)
        rows = rank_regions(boxes, values[k, : len(boxes)], nms_iou=config.nms_iou, limit=limit)
        logits = score_logits[k, : len(boxes)]
        ranked.append(
            FilmRegions(
                width=film.width,
                height=film.height,
                xyxy=_numpy(boxes[rows]),
                log_alpha=_numpy(log_alpha[k, rows]),
                alpha=_numpy(output.alpha[k, rows]),
                detector_scores=_numpy(regions.scores[k, rows]),
                region_attributes=_numpy(alone[k, rows]),
                fused=_numpy(output.fused[k, rows]),
                attributes=_numpy(attributes[k]),
                film_sum=float(torch.logsumexp(logits, 0)) if len(boxes) else NO_REGIONS_LOGIT,
                film_max=float(logits.max()) if len(boxes) else NO_REGIONS_LOGIT,
                film_tail=_film_tail(regions, k, len(boxes)),
            )
        )
    return ranked


def _film_tail(regions: Regions, film: int, count: int) -> Floats:
    """`FilmRegions.film_tail` of one film with `count` regions."""
    logits = regions.score_logits()[film, :count].sort(descending=True).values
    x1, y1, x2, y2 = regions.geometry[film, :count].T
    extent = float((regions.scores[film, :count] * (x2 - x1) * (y2 - y1)).sum())
    ranked = [float(logits[k]) if k < count else NO_REGIONS_LOGIT for k in TAIL_RANKS]
    return np.array([*ranked, math.log(extent + LEAST_EXTENT)])


def _film_boxes(boxes: Tensor, film: StreamedFilm) -> Tensor:
    """Boxes of the model's frame in film pixels, inside the film."""
    scale = boxes.new_tensor([film.scale_x, film.scale_y] * 2)
    limits = boxes.new_tensor([film.width, film.height] * 2)
    return torch.minimum(boxes / scale, limits)


def _numpy(tensor: Tensor) -> Floats:
    values: Floats = tensor.double().cpu().numpy()
    return values
