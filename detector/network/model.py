"""`build_detector`: torchvision's RetinaNet for one finding, with anchors for lung opacities."""

from __future__ import annotations

from detector.config import DetectorConfig
from detector.network.backbones import build_backbone
from detector.network.torchvision_parts import AnchorGenerator, RetinaNet, RetinaNetHead

OCTAVE_SCALES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))  # RetinaNet paper, section 4
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def build_detector(config: DetectorConfig) -> RetinaNet:
    """A RetinaNet with random weights.

    Input is a list of float (3, H, W) films in [0, 1] whose longer side is `image_size` (see
    `prepare_film`): the model's own resizing then changes nothing. One class, label 0.
    """
    backbone = build_backbone(
        config.backbone, fpn_width=config.fpn_width, pretrained=config.is_pretrained
    )
    anchors = AnchorGenerator(
        sizes=tuple(
            tuple(side * config.image_size * scale for scale in OCTAVE_SCALES)
            for side in config.anchor_sides
        ),
        aspect_ratios=(config.aspect_ratios,) * len(config.anchor_sides),
    )
    head = RetinaNetHead(config.fpn_width, anchors.num_anchors_per_location()[0], num_classes=1)
    # GIoU, as torchvision's RetinaNet v2: the metric is IoU, too.
    head.regression_head._loss_type = "giou"
    return RetinaNet(
        backbone,
        num_classes=1,
        min_size=config.image_size,
        max_size=config.image_size,
        image_mean=list(IMAGENET_MEAN),
        image_std=list(IMAGENET_STD),
        anchor_generator=anchors,
        head=head,
        score_thresh=0.0,
        nms_thresh=0.5,
        detections_per_img=100,
        topk_candidates=1000,
    )
