"""`Localizer`: fusion, region weights and attribute head over the frozen detector's regions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from data_manifests.support.errors import CheckpointError
from detector.roi_store import RoiBatch
from detector.weights import check_tensors
from localize.network.config import LocalizerConfig, Pooling
from localize.network.film_answer import FilmAnswer
from localize.network.film_evidence import film_evidence
from localize.network.fusion import Fusion
from localize.network.roi_weights import RoiWeights, masked_softmax

LOGIT_EPS = 1e-6  # scores of 0 and 1 stay finite: logits within 14


@dataclass(frozen=True)
class Regions:
    """Regions of B films as the localizer takes them.

    `features` (B, R, D); `geometry` (B, R, 4) corners over film size; `scores` (B, R) in [0, 1];
    `mask` (B, R) true where there is a region.
    """

    features: Tensor
    geometry: Tensor
    scores: Tensor
    mask: Tensor

    @classmethod
    def from_batch(cls, batch: RoiBatch, device: torch.device) -> Regions:
        """Regions read from a ROI store, on a device."""
        return cls(
            features=torch.from_numpy(batch.features).to(device),
            geometry=torch.from_numpy(batch.geometry()).to(device),
            scores=torch.from_numpy(batch.scores).to(device),
            mask=torch.from_numpy(batch.mask).to(device),
        )

    def score_logits(self) -> Tensor:
        """The detector's logits (B, R)."""
        return self.scores.float().logit(LOGIT_EPS)


@dataclass(frozen=True)
class LocalizerOutput:
    """`fused` phi (B, R, W), `alpha_logits` and `alpha` (B, R), `attribute_logits` (B, K).

    These attributes are the regions' under alpha, as the paper's; a film's are
    `Localizer.film_attributes`.
    """

    fused: Tensor
    alpha_logits: Tensor
    alpha: Tensor
    attribute_logits: Tensor


class Localizer(nn.Module):
    """The trained part of the method. It needs no text: words enter only the losses.

    `is_place` (K,) bool marks keywords that a box's place answers (left, basal, ...).
    """

    is_place: Tensor

    def __init__(
        self,
        fusion: Fusion,
        roi_weights: RoiWeights,
        attribute_head: nn.Module,
        film_answer: FilmAnswer | None,
        *,
        uses_logit: bool,
        pooling: Pooling,
        keywords: int,
    ) -> None:
        super().__init__()
        self.register_buffer("is_place", torch.zeros(keywords, dtype=torch.bool))
        self.fusion = fusion
        self.roi_weights = roi_weights
        self.attribute_head = attribute_head
        self.film_answer = film_answer
        self.uses_logit = uses_logit
        self.pooling = pooling

    def fuse(self, regions: Regions) -> Tensor:
        """phi of regions (B, R, W); the lowest-ranking ones go through here too."""
        scores = regions.score_logits() if self.uses_logit else regions.scores
        fused: Tensor = self.fusion(regions.features, regions.geometry, scores)
        return fused

    def forward(self, regions: Regions) -> LocalizerOutput:
        """Weights and attributes of B films; each film needs at least one region."""
        fused = self.fuse(regions)
        logits = self.roi_weights(fused, regions.score_logits())
        alpha = masked_softmax(logits, regions.mask, dim=1)
        if self.pooling == "features":
            pooled = torch.einsum("br,brw->bw", alpha, fused.float())  # v
            return LocalizerOutput(fused, logits, alpha, self.attribute_head(pooled))
        mean = torch.einsum("br,brk->bk", alpha, self.region_attributes(regions, fused))
        return LocalizerOutput(fused, logits, alpha, mean.logit(LOGIT_EPS))

    def film_attributes(self, regions: Regions, output: LocalizerOutput) -> Tensor:
        """Each film's attributes from its regions' answers and, where fitted, its evidence as a
        whole; probabilities (B, K)."""
        logits = output.attribute_logits.float()
        if self.film_answer is not None:
            evidence = film_evidence(regions.geometry, regions.score_logits(), regions.mask)
            logits = self.film_answer(logits, evidence)
        return logits.sigmoid()

    def region_attributes(self, regions: Regions, fused: Tensor) -> Tensor:
        """The head's answer to each region alone, probabilities (B, R, K).

        With `probabilities` pooling words of place are answered from the region's geometry: a
        detector's features see far beyond their region, and would let a region on one side answer
        for an opacity on the other.
        """
        answers: Tensor = self.attribute_head(fused)
        if self.pooling == "probabilities":
            placed = self.fuse(replace(regions, features=self.fusion.feature_mean))
            answers = torch.where(self.is_place, self.attribute_head(placed), answers)
        return answers.float().sigmoid()


def build_localizer(
    config: LocalizerConfig, *, feature_width: int, word_width: int, keywords: int
) -> Localizer:
    """A localizer with random weights for regions of `feature_width` and words of `word_width`."""
    return Localizer(
        Fusion(
            feature_width=feature_width,
            geometry_width=config.geometry_width,
            score_width=config.score_width,
            out_width=word_width,
            dropout=config.dropout,
        ),
        RoiWeights(
            width=word_width,
            hidden=config.hidden,
            sharpness=config.sharpness if config.alpha == "anchored" else None,
        ),
        nn.Sequential(
            nn.Linear(word_width, config.hidden), nn.ReLU(), nn.Linear(config.hidden, keywords)
        ),
        FilmAnswer(keywords) if config.film_evidence else None,
        uses_logit=config.score_input == "logit",
        pooling=config.pooling,
        keywords=keywords,
    )


def load_localizer_weights(model: Localizer, path: Path) -> None:
    """Load a safetensors file into a localizer of the same configuration, also one on `meta`.

    Raises:
        CheckpointError: unreadable, other names or shapes, not finite, or a spread of 0; names the
            tensor.
    """
    try:
        given = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{path}: expected safetensors weights, got: {error}") from error
    check_tensors(given, model.state_dict(), path)
    for name in ("fusion.feature_std", "film_answer.std"):
        if name in given and not (given[name] > 0).all():
            raise CheckpointError(f"{path}: tensor {name} must be above 0: it divides")
    # Bundles may hold half precision; the mask of places stays what it is.
    full = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in given.items()
    }
    model.load_state_dict(full, assign=True)
