"""`Localizer`: fusion, region weights and attribute head over the frozen detector's regions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from data_manifests.support.errors import CheckpointError
from detector.network.weights import check_tensors, read_tensors
from detector.roi_store import RoiBatch
from localize.network.config import LocalizerConfig, Pooling
from localize.network.film_evidence import film_evidence
from localize.network.film_head import FilmHead
from localize.network.fusion import Fusion, RegionFusion
from localize.network.roi_weights import RoiWeights, masked_softmax

LOGIT_EPS = 1e-6  # scores of 0 and 1 stay finite: logits within 14
FILM_HEAD, OLD_FILM_HEAD = "film_head.", "film_answer."


@dataclass(frozen=True)
class Regions:
    """Regions of B films as the localizer takes them.

    `features` (B, R, D); `geometry` (B, R, 4) corners over film size; `scores` (B, R) in [0, 1];
    `mask` (B, R) true where there is a region; `gate_logits` (B, R) of a `Gate` on the film, None
    without one.
    """

    features: Tensor
    geometry: Tensor
    scores: Tensor
    mask: Tensor
    gate_logits: Tensor | None = None

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

    The attributes are those of the regions under alpha, as in the paper; the film's are
    `Localizer.film_attributes`.
    """

    fused: Tensor
    alpha_logits: Tensor
    alpha: Tensor
    attribute_logits: Tensor


class Localizer(nn.Module):
    """The trained part of the method, from finished parts. Words are in the losses only.

    `fusion` maps regions to phi (B, R, W). `roi_weights(phi, score_logits)` gives the logits of
    alpha (B, R); None takes the gates of the regions. `attribute_head` maps phi (..., W) to K
    logits. `film_head` adds the evidence of the whole film; None leaves it out. With `uses_logit`
    the fusion sees logits of the scores.
    The buffer `is_place` (K,) bool marks keywords that the place of a box decides (left, basal).
    """

    is_place: Tensor

    def __init__(
        self,
        fusion: RegionFusion,
        roi_weights: nn.Module | None,
        attribute_head: nn.Module,
        film_head: FilmHead | None,
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
        self.film_head = film_head
        self.uses_logit = uses_logit
        self.pooling = pooling
        self.register_load_state_dict_pre_hook(_rename_old_tensors)  # type: ignore[no-untyped-call] # torch's

    def fuse(self, regions: Regions) -> Tensor:
        """phi of regions (B, R, W); also of the lowest-ranking ones."""
        return self._fuse(regions, regions.features)

    def forward(self, regions: Regions) -> LocalizerOutput:
        """Weights and attributes of B films; each film needs at least one region."""
        fused = self.fuse(regions)
        logits, alpha = self._alpha(regions, fused)
        if self.pooling == "features":
            pooled = torch.einsum("br,brw->bw", alpha, fused.float())  # v
            return LocalizerOutput(fused, logits, alpha, self.attribute_head(pooled))
        mean = torch.einsum("br,brk->bk", alpha, self.region_attributes(regions, fused))
        return LocalizerOutput(fused, logits, alpha, mean.logit(LOGIT_EPS))

    def _alpha(self, regions: Regions, fused: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of alpha and alpha itself, which sums to 1 over a film's regions, (B, R) each."""
        if self.roi_weights is not None:
            logits = self.roi_weights(fused, regions.score_logits())
            return logits, masked_softmax(logits, regions.mask, dim=1)
        if regions.gate_logits is None:
            raise ValueError("this localizer takes its alpha from gates, got regions without them")
        gates = regions.gate_logits.float().sigmoid() * regions.mask
        return regions.gate_logits, gates / gates.sum(dim=1, keepdim=True).clamp(min=1e-6)

    def film_attributes(self, regions: Regions, output: LocalizerOutput) -> Tensor:
        """Each film's attributes from its regions and, where fitted, from the film as a whole;
        probabilities (B, K)."""
        logits = output.attribute_logits.float()
        if self.film_head is not None:
            evidence = film_evidence(regions.geometry, regions.score_logits(), regions.mask)
            logits = self.film_head(logits, evidence)
        return logits.sigmoid()

    def region_attributes(self, regions: Regions, fused: Tensor) -> Tensor:
        """Each region's own attributes, probabilities (B, R, K).

        With `probabilities` pooling, keywords of place see the region's geometry only: the
        detector's features see far beyond their region, and a region on one side would show the
        attributes of an opacity on the other.
        """
        logits: Tensor = self.attribute_head(fused)
        if self.pooling == "probabilities":
            mean = self.fusion.feature_mean
            if not isinstance(self.fusion, Fusion):  # ours broadcasts it, which is faster
                mean = mean.expand_as(regions.features)
            placed = self._fuse(regions, mean)
            logits = torch.where(self.is_place, self.attribute_head(placed), logits)
        return logits.float().sigmoid()

    def _fuse(self, regions: Regions, features: Tensor) -> Tensor:
        scores = regions.score_logits() if self.uses_logit else regions.scores
        fused: Tensor = self.fusion(features, regions.geometry, scores)
        return fused


def _rename_old_tensors(_module: nn.Module, tensors: dict[str, Tensor], *_: object) -> None:
    """Older files call the film head `film_answer`."""
    for name in [name for name in tensors if name.startswith(OLD_FILM_HEAD)]:
        tensors[FILM_HEAD + name.removeprefix(OLD_FILM_HEAD)] = tensors.pop(name)


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
        FilmHead(keywords) if config.film_evidence else None,
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
    given = read_tensors(path)
    _rename_old_tensors(model, given)
    check_tensors(given, model.state_dict(), path)
    for name in ("fusion.feature_std", "film_head.std"):
        if name in given and not (given[name] > 0).all():
            raise CheckpointError(f"{path}: tensor {name} must be above 0: it divides")
    # Bundles may hold half precision; the mask of places stays what it is.
    full = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in given.items()
    }
    model.load_state_dict(full, assign=True)
