"""`BatchLosses`: RetinaNet's two losses for a whole batch at once, equal to torchvision's.

torchvision matches and sums film by film, with a few dozen GPU kernels and several waits for each.
A small network on a large GPU then mostly waits. Here all films of a batch are of one shape, their
boxes are padded to one number, and nothing waits for the GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from detector.network.torchvision_parts import (
    ImageList,
    RetinaNet,
    box_iou,
    generalized_box_iou_loss,
    sigmoid_focal_loss,
)

BEST = 16  # anchors: about those that one opacity matches


@dataclass(frozen=True)
class FilmBatch:
    """Films in the model's frame on its device.

    `images` is float (B, 3, S, S) in [0, 1], `boxes` float32 (B, M, 4), of which only those where
    `is_box` (B, M) is true are boxes. Films that are `is_unplaced` (B,) show an opacity whose place
    nobody has told.
    """

    images: Tensor
    boxes: Tensor
    is_box: Tensor
    is_unplaced: Tensor
    image_ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.image_ids)


class BatchLosses(nn.Module):
    """Losses of one detector on batches of one image size; keeps the anchors of that size."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: RetinaNet, *, film_loss: float) -> None:
        super().__init__()
        self.model, self.film_loss = model, film_loss
        device = next(model.parameters()).device
        for name, values in (
            ("mean", model.transform.image_mean),
            ("std", model.transform.image_std),
        ):
            self.register_buffer(name, torch.tensor(values, device=device)[:, None, None])
        self._anchors: Tensor | None = None

    def forward(self, batch: FilmBatch) -> dict[str, Tensor]:
        """`classification` and `bbox_regression`, as torchvision's RetinaNet names them, and `film`
        where it has a weight."""
        images = ((batch.images - self.mean) / self.std).contiguous(
            memory_format=torch.channels_last
        )
        features = list(self.model.backbone(images).values())
        outputs = self.model.head(features)
        if self._anchors is None:
            one = ImageList(images[:1], [(images.shape[2], images.shape[3])])
            maps = [level.float() for level in features]  # bfloat16 would round the anchors
            self._anchors = self.model.anchor_generator(one, maps)[0]
        with torch.autocast(images.device.type, enabled=False):
            logits = outputs["cls_logits"].float()
            losses = batch_losses(
                logits,
                outputs["bbox_regression"].float(),
                self._anchors,
                batch,
                model=self.model,
            )
            if self.film_loss:
                losses["film"] = self.film_loss * film_loss(logits, batch.is_unplaced)
            return losses


def film_loss(logits: Tensor, is_unplaced: Tensor) -> Tensor:
    """Asks unplaced films for a high mean of their best logits; the mean over all B films."""
    best = logits[..., 0].topk(min(BEST, logits.shape[1]), dim=1).values.mean(dim=1)
    return (softplus(-best) * is_unplaced).mean()


def batch_losses(
    logits: Tensor,
    codes: Tensor,
    anchors: Tensor,
    batch: FilmBatch,
    *,
    model: RetinaNet,
) -> dict[str, Tensor]:
    """Focal and GIoU loss of B films with A anchors and at most M boxes, each the films' mean.

    Args:
        logits: (B, A, 1) class logits.
        codes: (B, A, 4) box regression.
        anchors: (A, 4) in the model's frame.
        batch: boxes and flags; unplaced films teach neither where something is nor where not.
        model: whose matcher's thresholds and box coder are used.
    """
    films, count = logits.shape[:2]
    matched, is_object, is_ignored = _match(anchors, batch.boxes, batch.is_box, model)
    is_ignored = is_ignored | batch.is_unplaced[:, None]
    objects = is_object.sum(dim=1).clamp(min=1)
    focal = sigmoid_focal_loss(logits[..., 0], is_object.to(logits.dtype), reduction="none")
    classification = (focal.masked_fill(is_ignored, 0.0).sum(dim=1) / objects).mean()

    spread = anchors.expand(films, count, 4).reshape(-1, 4)
    target = torch.where(
        is_object[..., None],
        batch.boxes.gather(1, matched[..., None].expand(-1, -1, 4)),
        anchors,  # any box will do where nothing is learned
    )
    coder = model.head.regression_head.box_coder
    decoded = coder.decode_single(codes.reshape(-1, 4), spread)
    giou = generalized_box_iou_loss(decoded, target.reshape(-1, 4), reduction="none")
    giou = giou.reshape(films, count).masked_fill(~is_object, 0.0)
    return {
        "classification": classification,
        "bbox_regression": (giou.sum(dim=1) / objects).mean(),
    }


@torch.no_grad()
def _match(
    anchors: Tensor, boxes: Tensor, is_box: Tensor, model: RetinaNet
) -> tuple[Tensor, Tensor, Tensor]:
    """Box index, "is an object", "is ignored", each (B, A), as torchvision's `Matcher` has them."""
    matcher = model.proposal_matcher
    films, most = is_box.shape
    iou = box_iou(boxes.reshape(-1, 4), anchors).reshape(films, most, -1)
    iou = iou.masked_fill(~is_box[..., None], -1.0)
    best, matched = iou.max(dim=1)
    # A box that no anchor fits well takes those that fit best.
    is_best = ((iou == iou.amax(dim=2, keepdim=True)) & is_box[..., None]).any(dim=1)
    is_object = (best >= matcher.high_threshold) | is_best
    is_ignored = (best >= matcher.low_threshold) & ~is_object
    return matched, is_object, is_ignored
