"""`rank_films` against a slow loop over films and regions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from detector.film_stream import StreamedFilm
from detector.proposals import Rois
from localize.inference.film_regions import pad_regions, rank_films
from localize.network.film_evidence import film_evidence
from localize.network.localizer import build_localizer
from tests.localize.models import CPU, fill_film_head, tiny_localizer
from tests.localize.network.test_ranking import slow_ranking

SIZES = [(96, 64), (48, 96), (96, 96)]  # width, height of the model's frame


def make_rois(counts=(6, 3, 0)) -> list[Rois]:
    generator = torch.Generator().manual_seed(3)
    found = []
    for count in counts:
        corner = torch.rand(count, 2, generator=generator) * 30
        side = 5 + torch.rand(count, 2, generator=generator) * 12
        found.append(
            Rois(
                features=torch.randn(count, 5, generator=generator),
                boxes=torch.cat([corner, corner + side], dim=1),
                scores=torch.rand(count, generator=generator).sort(descending=True).values,
            )
        )
    return found


def make_localizer(**changes):
    config = tiny_localizer(alpha="free", nms_iou=0.2, **changes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_localizer(config, feature_width=5, word_width=8, keywords=4)
        fill_film_head(model)
    for name, parameter in model.roi_weights.named_parameters():
        if name.endswith("weight"):
            parameter.data *= 5  # alphas that differ
    return model.eval(), config


def evidence_of(regions) -> tuple[torch.Tensor, ...]:
    return regions.geometry, regions.score_logits(), regions.mask


def make_films() -> list[StreamedFilm]:
    """Films of four times the size of the model's frame."""
    return [
        StreamedFilm(row, torch.zeros(3, height, width), 4 * width, 4 * height, 0.25, 0.25, None)
        for row, (width, height) in enumerate(SIZES)
    ]


def test_regions_are_padded_and_geometry_is_a_share_of_the_frame():
    rois = make_rois()
    regions = pad_regions(rois, SIZES, CPU)
    assert regions.mask.sum(dim=1).tolist() == [6, 3, 0]
    for film, (one, (width, height)) in enumerate(zip(rois, SIZES, strict=True)):
        for k in range(len(one.scores)):
            x1, y1, x2, y2 = one.boxes[k].tolist()
            expected = [x1 / width, y1 / height, x2 / width, y2 / height]
            assert regions.geometry[film, k].tolist() == pytest.approx(expected)
            assert torch.equal(regions.features[film, k], one.features[k])
            assert regions.scores[film, k] == one.scores[k]
    assert (regions.features[~regions.mask] == 0).all()


@pytest.mark.parametrize("rank_by", ["alpha", "alpha_score"])
@pytest.mark.parametrize("ranking", ["localizer", "detector"])
@pytest.mark.parametrize("pooling", ["features", "probabilities"])
def test_ranked_films_equal_the_slow_loop(ranking, rank_by, pooling):
    rois, zero = make_rois(), torch.zeros(8)
    model, config = make_localizer(rank_by=rank_by, pooling=pooling)
    regions, boxes = pad_regions(rois, SIZES, CPU), [4 * one.boxes for one in rois]
    found = rank_films(model, rois, make_films(), config, ranking=ranking, limit=4)
    with torch.no_grad():
        output = model(regions)
    for film, one in enumerate(rois):
        count = len(one.scores)
        s = one.scores.double().tolist()
        alpha_logits = output.alpha_logits[film, :count].tolist()
        total = sum(math.exp(value) for value in alpha_logits)
        alpha = [math.exp(value) / total for value in alpha_logits]
        if ranking == "detector":
            weights = [p / (1 - p) for p in s]
        else:
            weights = [a * p for a, p in zip(alpha, s, strict=True)]
            weights = alpha if rank_by == "alpha" else weights
        kept = slow_ranking(boxes[film].tolist(), weights, config.nms_iou, 4)
        got = found[film]
        assert got.xyxy.tolist() == boxes[film][kept].double().tolist()
        np.testing.assert_allclose(
            got.log_alpha,
            [math.log(weights[k] / sum(weights)) for k in kept],
            atol=1e-5,
        )
        assert (got.width, got.height) == tuple(4 * side for side in SIZES[film])
        assert got.alpha.tolist() == pytest.approx([alpha[k] for k in kept], abs=1e-6)
        assert got.detector_scores.tolist() == pytest.approx([s[k] for k in kept])
        with torch.no_grad():
            answers = model.region_attributes(regions, output.fused)[film]
        if pooling == "features":
            with torch.no_grad():
                pooled = sum((alpha[k] * output.fused[film, k] for k in range(count)), zero)
                probabilities = model.attribute_head(pooled).sigmoid()
        else:
            probabilities = sum((alpha[k] * answers[k] for k in range(count)), zero[:4])
        answer = model.film_head
        numbers = film_evidence(*(x[[film]] for x in evidence_of(regions)))[0].double()
        own = answer.bias + (numbers - answer.mean) / 2 @ answer.weight.double().T
        attended = probabilities.double().logit(1e-6)
        expected = [
            (attended[k] + own[k]) / 2 if k % 2 else attended[k] for k in range(len(attended))
        ]
        np.testing.assert_allclose(got.attributes, torch.stack(expected).sigmoid(), atol=1e-5)
        alone = answers[kept]
        for row, region in enumerate(alone):
            np.testing.assert_allclose(got.region_attributes[row], region, atol=1e-5)
            np.testing.assert_allclose(got.fused[row], output.fused[film, kept[row]], atol=1e-6)
        if count:
            odds = [p / (1 - p) for p in s]
            assert got.film_sum == pytest.approx(math.log(sum(odds)), abs=1e-4)
            assert got.film_max == pytest.approx(math.log(max(odds)), abs=1e-4)


def test_the_rankings_differ_so_that_the_loop_above_tells_them_apart():
    rois = make_rois()
    model, config = make_localizer()
    orders = [
        rank_films(model, rois, make_films(), config, ranking=ranking, limit=4)[0]
        for ranking in ("localizer", "detector")
    ]
    assert orders[0].xyxy.tolist() != orders[1].xyxy.tolist()
    assert (np.diff(orders[1].detector_scores) <= 0).all()


def test_the_detectors_ranking_recovers_its_score_from_log_alpha_and_the_sum():
    """The claim of `calibration`: alpha = softmax(logit s) contains the detector's logit."""
    rois = make_rois()
    model, config = make_localizer()
    for one in rank_films(model, rois, make_films(), config, ranking="detector", limit=9):
        odds = np.exp(one.log_alpha + one.film_sum)
        np.testing.assert_allclose(odds / (1 + odds), one.detector_scores, atol=1e-5)


def test_a_film_without_regions_has_no_boxes_but_attributes():
    rois = make_rois()
    model, config = make_localizer()
    empty = rank_films(model, rois, make_films(), config, limit=4)[2]
    assert empty.xyxy.shape == (0, 4)
    assert empty.region_attributes.shape == (0, 4)
    assert np.isfinite(empty.attributes).all()
    assert np.isfinite([empty.film_sum, empty.film_max]).all()
