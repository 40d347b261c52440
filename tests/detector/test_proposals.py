"""Proposals: bit-identical to torchvision's detections, features against a slow loop."""

from __future__ import annotations

import pytest
import torch
from torchvision.ops import clip_boxes_to_image, nms
from torchvision.ops.roi_align import _roi_align as slow_roi_align

from data_manifests.support.errors import ConfigError
from detector.feature_kind import FeatureKind
from detector.proposals import ProposalOptions, first_kept, propose_rois
from tests.detector.films import make_detector

SHAPES = [(96, 96), (96, 70), (50, 96)]  # square, tall, wide; P6 and P7 round up
EVERYTHING = 10_000


@pytest.fixture(scope="module")
def model():
    return make_detector(image_size=96)


def film(shape, seed=1):
    return torch.rand(3, *shape, generator=torch.Generator().manual_seed(seed))


def all_anchors(model, image):
    """Every anchor of a film, by the shortest way: level, cell, box, score, maps."""
    with torch.no_grad():
        images, _ = model.transform([image])
        pyramid = list(model.backbone(images.tensors).values())
        head = model.head(pyramid)
        anchors = model.anchor_generator(images, pyramid)[0]
        towers = [model.head.classification_head.conv(level) for level in pyramid]
    deltas, logits = head["bbox_regression"][0], head["cls_logits"][0, :, 0]
    counts = [9 * level.shape[-2] * level.shape[-1] for level in pyramid]
    boxes = clip_boxes_to_image(
        model.box_coder.decode_single(deltas, anchors), images.image_sizes[0]
    )
    levels, rows, columns = [], [], []
    for number, level in enumerate(pyramid):
        height, width = level.shape[-2:]
        for row in range(height):
            for column in range(width):
                for _ in range(9):
                    levels.append(number)
                    rows.append(row)
                    columns.append(column)
    return {
        "boxes": boxes,
        # Level by level, as torchvision does: sigmoid's last bit depends on the length.
        "scores": torch.cat([part.sigmoid() for part in logits.split(counts)]),
        "anchors": anchors,
        "levels": levels,
        "rows": rows,
        "columns": columns,
        "pyramid": pyramid,
        "towers": towers,
    }


def has_area(boxes):
    return ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(dim=1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("nms_iou", [0.5, 0.7])
def test_boxes_and_scores_are_bit_identical_to_torchvision(model, shape, nms_iou, monkeypatch):
    monkeypatch.setattr(model, "nms_thresh", nms_iou)
    monkeypatch.setattr(model, "detections_per_img", EVERYTHING)
    monkeypatch.setattr(model, "topk_candidates", 300)
    with torch.no_grad():
        theirs = model([film(shape)])[0]
    keep = has_area(theirs["boxes"])
    options = ProposalOptions(count=EVERYTHING, nms_iou=nms_iou, candidates=300)
    ours = propose_rois(model, [film(shape)], options)[0].best
    assert len(ours.scores) > 50
    assert torch.equal(ours.boxes, theirs["boxes"][keep])
    assert torch.equal(ours.scores, theirs["scores"][keep])


def test_films_of_one_size_do_not_depend_on_each_other(model):
    films = [film((96, 96), seed) for seed in range(3)]
    together = propose_rois(model, films, ProposalOptions(count=20))
    for one, alone in zip(together, films, strict=True):
        expected = propose_rois(model, [alone], ProposalOptions(count=20))[0]
        torch.testing.assert_close(one.best.boxes, expected.best.boxes, atol=1e-3, rtol=1e-5)
        torch.testing.assert_close(one.best.features, expected.best.features)


def matching_anchors(found, everything):
    """For each region the anchor with its very box and score."""
    for box, score in zip(found.boxes, found.scores, strict=True):
        same = (everything["boxes"] == box).all(dim=1) & (everything["scores"] == score)
        yield torch.nonzero(same).flatten().tolist()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("part", ["best", "lowest"])
def test_tower_features_are_those_of_the_anchors_cell(model, shape, part):
    everything = all_anchors(model, film(shape))
    found = getattr(propose_rois(model, [film(shape)], ProposalOptions(count=300))[0], part)
    seen_levels = set()
    for feature, anchors in zip(found.features, matching_anchors(found, everything), strict=True):
        assert anchors, "the region comes from no anchor"
        cells = [
            everything["towers"][everything["levels"][k]][
                0, :, everything["rows"][k], everything["columns"][k]
            ]
            for k in anchors
        ]
        assert any(torch.equal(feature, cell) for cell in cells)
        seen_levels |= {everything["levels"][k] for k in anchors}
    assert len(seen_levels) > 1


def test_the_cell_of_an_anchor_is_where_its_centre_lies(model):
    everything = all_anchors(model, film((96, 96)))
    centres = (everything["anchors"][:, :2] + everything["anchors"][:, 2:]) / 2
    for k in range(0, len(centres), 7):
        stride = 96 // everything["pyramid"][everything["levels"][k]].shape[-1]
        expected = torch.tensor([everything["columns"][k] * stride, everything["rows"][k] * stride])
        assert torch.equal(centres[k], expected.float())


@pytest.mark.parametrize("shape", SHAPES)
def test_aligned_features_are_the_mean_of_a_slow_roi_align(model, shape):
    everything = all_anchors(model, film(shape))
    options = ProposalOptions(count=5, feature=FeatureKind.FPN_ROI_ALIGN)
    found = propose_rois(model, [film(shape)], options)[0].best
    for feature, box, anchors in zip(
        found.features, found.boxes, matching_anchors(found, everything), strict=True
    ):
        level = everything["levels"][anchors[0]]
        rois = torch.cat([torch.zeros(1), box])[None]
        pooled = slow_roi_align(
            everything["pyramid"][level], rois, 1 / 8 / 2**level, 7, 7, 2, aligned=True
        )
        torch.testing.assert_close(feature, pooled.mean(dim=(2, 3))[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [10, 100, 2000])
def test_lowest_regions_are_the_head_of_a_full_sort(model, shape, count):
    everything = all_anchors(model, film(shape))
    area = has_area(everything["boxes"])
    scores, boxes = everything["scores"][area], everything["boxes"][area]
    order = scores.argsort(stable=True)[:count]
    lowest = propose_rois(model, [film(shape)], ProposalOptions(count=count))[0].lowest
    assert torch.equal(lowest.scores, scores[order])
    distinct = scores[order].unique_consecutive(return_counts=True)[1].max() == 1
    assert not distinct or torch.equal(lowest.boxes, boxes[order])


def test_best_regions_come_best_first_and_overlap_less_than_asked(model):
    from torchvision.ops import box_iou

    best = propose_rois(model, [film((96, 96))], ProposalOptions(count=50, nms_iou=0.4))[0].best
    assert len(best.scores) == 50
    assert (best.scores.diff() <= 0).all()
    assert (box_iou(best.boxes, best.boxes) - torch.eye(50)).max() <= 0.4


def test_regions_lie_inside_the_film_and_have_an_area(model):
    for shape in SHAPES:
        for part in vars(propose_rois(model, [film(shape)], ProposalOptions())[0]).values():
            height, width = shape
            assert part.boxes.min() >= 0
            assert (part.boxes[:, 2] <= width).all()
            assert (part.boxes[:, 3] <= height).all()
            assert has_area(part.boxes).all()


@pytest.mark.parametrize(
    "wrong", [{"count": 0}, {"nms_iou": 1.5}, {"candidates": 0}, {"feature": "body"}]
)
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ProposalOptions(**wrong)


@pytest.mark.parametrize("count", [1, 7, 100, 5000])
@pytest.mark.parametrize("crowded", [0.2, 1.0])
def test_the_first_kept_boxes_are_those_of_the_whole_suppression(count, crowded):
    noise = torch.Generator().manual_seed(count)
    corner = torch.rand(3000, 2, generator=noise) * 300 * crowded
    boxes = torch.cat([corner, corner + 20 + torch.rand(3000, 2, generator=noise) * 80], dim=1)
    scores = torch.rand(3000, generator=noise).round(decimals=2)  # with ties
    expected = nms(boxes, scores, 0.5)[:count]
    assert first_kept(boxes, scores, 0.5, count).tolist() == expected.tolist()
    assert first_kept(boxes[:0], scores[:0], 0.5, count).tolist() == []
