"""Loss parts and validation against loops over films, regions and words."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from detector.roi_store import RoiStore
from localize.network.localizer import Regions, build_localizer
from localize.training.objective import build_objective
from localize.training.pair_batch import read_pair_batch
from localize.training.pairs import Pairs
from localize.training.validate import validate_localizer
from tests.localize.models import (
    CPU,
    FEATURE_WIDTH,
    KEYWORDS,
    WORD_WIDTH,
    make_words,
    plant_store,
    tiny_localizer,
    tiny_training,
)
from tests.localize.network.test_cross_attention import slow_similarities
from tests.localize.network.test_ranking import iou, slow_ranking

FILMS, REGIONS = 8, 5


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return plant_store(tmp_path_factory.mktemp("planted"), films=FILMS + 1, val=1, regions=REGIONS)


def make_pairs_by_hand(pairs: Pairs) -> Pairs:
    """The planted pairs with awkward reports: both sides at once, no words, unknown keywords."""
    targets, mask = pairs.targets.copy(), pairs.mask.copy()
    targets[0, :2] = 1  # left and right: neither is the other's negative
    targets[1] = 0  # a normal film
    mask[2, :3] = 0
    targets[3] = targets[4]  # two reports that say the same
    return Pairs(pairs.rows, pairs.image_ids, pairs.patient_ids, targets, mask, pairs.boxes)


def make_setting(planted, store, **training):
    config = tiny_localizer(alpha="free", sharpness=2.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_localizer(
            config, feature_width=FEATURE_WIDTH, word_width=WORD_WIDTH, keywords=len(KEYWORDS)
        ).eval()
    pairs = make_pairs_by_hand(planted.pairs("train", store))
    settings = tiny_training(**training)
    return model, pairs, build_objective(config, settings, make_words(), pairs, CPU)


def read(store, pairs, lowest=False) -> Regions:
    return Regions.from_batch(store.read(pairs.rows, lowest=lowest), CPU)


def similarity(phi, alpha, words) -> tuple[float, float]:
    if len(words) == 0:
        return 0.0, 0.0
    return slow_similarities(phi.tolist(), alpha.tolist(), words.tolist(), "scan")


def outputs(model, store, pairs):
    with torch.no_grad():
        output = model(read(store, pairs))
        low = model.fuse(read(store, pairs, lowest=True))
    return output, low


@pytest.mark.parametrize("negatives", ["lowest", "printed"])
def test_the_triplet_of_a_films_own_negatives_equals_the_loop(planted, negatives):
    with RoiStore(planted.store) as store:
        model, pairs, objective = make_setting(planted, store, negatives=negatives)
        losses = objective.parts(model, read_pair_batch(store, pairs, np.arange(FILMS), CPU))
        output, low = outputs(model, store, pairs)
    vectors = make_words().vectors.astype(np.float64)
    negative = make_words().negatives
    if negatives == "printed":
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        negative = [
            max((k for k in range(len(unit)) if k != word), key=lambda k: unit[word] @ unit[k])
            for word in range(len(unit))
        ]
    for film in range(FILMS):
        said = [k for k in range(len(KEYWORDS)) if pairs.words[film, k]]
        contrast = said
        if negatives == "lowest":
            contrast = [k for k in said if negative[k] not in said]
        phi, alpha = output.fused[film].double(), output.alpha[film].double()
        text, roi = similarity(phi, alpha, vectors[said])
        _, low_roi = similarity(low[film].double(), alpha, vectors[said])
        expected = max(0, 0.8 - roi + low_roi)
        if contrast:  # a report that names all its negatives has no term of words
            wrong_text, _ = similarity(phi, alpha, vectors[[negative[k] for k in contrast]])
            expected += max(0, 0.8 - text + wrong_text)
        expected = expected if said else 0.0
        assert float(losses["triplet"][film]) == pytest.approx(expected, abs=1e-5)


def test_the_batch_triplet_equals_the_loop(planted):
    with RoiStore(planted.store) as store:
        model, pairs, objective = make_setting(planted, store, negatives="batch", margin=0.3)
        losses = objective.parts(model, read_pair_batch(store, pairs, np.arange(FILMS), CPU))
        output, _ = outputs(model, store, pairs)
    vectors = make_words().vectors.astype(np.float64)
    words = pairs.words
    s = np.zeros((FILMS, FILMS))
    for film in range(FILMS):
        for report in range(FILMS):
            phi, alpha = output.fused[film].double(), output.alpha[film].double()
            s[film, report] = sum(similarity(phi, alpha, vectors[words[report]]))

    def is_negative(a: int, b: int) -> bool:
        return words[a].any() and words[b].any() and (words[a] != words[b]).any()

    for k in range(FILMS):
        others = [o for o in range(FILMS) if is_negative(k, o)]
        report_cost = max((max(0, 0.3 + s[k, o] - s[k, k]) for o in others), default=0.0)
        film_cost = max((max(0, 0.3 + s[o, k] - s[k, k]) for o in others), default=0.0)
        found = float(losses["triplet"][k])
        assert found == pytest.approx(report_cost + film_cost, abs=1e-5)


@pytest.mark.parametrize("balance", [False, True])
def test_bce_and_divergence_equal_the_loop(planted, balance):
    with RoiStore(planted.store) as store:
        model, pairs, objective = make_setting(planted, store, balance=balance)
        regions = read(store, pairs)
        losses = objective.parts(model, read_pair_batch(store, pairs, np.arange(FILMS), CPU))
        output, _ = outputs(model, store, pairs)
    weight = np.ones(len(KEYWORDS))
    if balance:
        for k in range(len(KEYWORDS)):
            known = pairs.mask[:, k] > 0
            positive = pairs.targets[known, k].sum()
            weight[k] = min(20.0, max(1.0, (known.sum() - positive) / max(positive, 1)))
        assert (weight > 1).any()
    p = output.attribute_logits.double().sigmoid().numpy()
    for film in range(FILMS):
        costs = [
            -weight[k] * np.log(p[film, k]) if pairs.targets[film, k] else -np.log(1 - p[film, k])
            for k in range(len(KEYWORDS))
            if pairs.mask[film, k]
        ]
        assert float(losses["bce"][film]) == pytest.approx(np.mean(costs), abs=1e-5)
        odds = (
            regions.scores[film] / (1 - regions.scores[film])
        ).double().numpy() ** 2  # sharpness
        detector, alpha = odds / odds.sum(), output.alpha[film].double().numpy()
        expected = sum(d * np.log(d / a) for d, a in zip(detector, alpha, strict=True))
        assert float(losses["detector"][film]) == pytest.approx(expected, abs=1e-4)


def test_the_total_is_the_weighted_sum(planted):
    with RoiStore(planted.store) as store:
        _, _, objective = make_setting(
            planted, store, triplet_weight=2.0, bce_weight=0.0, detector_weight=0.5
        )
    parts = {"triplet": torch.tensor([1.0, 2]), "bce": torch.tensor([9.0, 9])}
    total = objective.total({**parts, "detector": torch.tensor([4.0, 8])})
    assert total.tolist() == [4.0, 8.0]


def test_a_film_without_regions_has_a_finite_loss(planted):
    with RoiStore(planted.store) as store:
        model, pairs, objective = make_setting(planted, store, detector_weight=1.0)
        batch = read_pair_batch(store, pairs, np.arange(FILMS), CPU)
    batch.regions.mask[0] = False
    losses = objective.parts(model, batch)
    assert torch.isfinite(objective.total(losses)).all()
    assert float(losses["detector"][0]) == 0.0


def test_validation_is_the_mean_loss_the_matching_and_the_recall(planted):
    with RoiStore(planted.store) as store:
        model, pairs, objective = make_setting(planted, store)
        scores = validate_localizer(model, store, pairs, objective, CPU)
        losses = objective.parts(model, read_pair_batch(store, pairs, np.arange(FILMS), CPU))
        output, _ = outputs(model, store, pairs)
        stored = store.read(pairs.rows)
    assert scores.loss == pytest.approx(float(objective.total(losses).mean()), abs=1e-6)
    vectors, words = make_words().vectors.astype(np.float64), pairs.words
    wins, asked = 0, 0
    hits = []
    for film in range(FILMS):
        phi, alpha = output.fused[film].double(), output.alpha[film].double()
        own = sum(similarity(phi, alpha, vectors[words[film]]))
        for report in range(FILMS):
            if words[film].any() and words[report].any() and (words[film] != words[report]).any():
                asked += 1
                wins += own > sum(similarity(phi, alpha, vectors[words[report]]))
        boxes = stored.boxes[film].tolist()
        first = slow_ranking(boxes, output.alpha_logits[film].tolist(), 0.3, 1)[0]
        overlap = iou(boxes[first], pairs.boxes[film][0].tolist())
        hits.append(((overlap >= 0.25) + (overlap >= 0.5)) / 2)
    assert scores.match == pytest.approx(wins / asked)
    assert scores.boxes == pytest.approx(np.mean(hits))


def test_without_boxes_or_different_reports_validation_is_undefined_not_zero(planted):
    with RoiStore(planted.store) as store:
        model, pairs, objective = make_setting(planted, store)
        same = Pairs(
            pairs.rows,
            pairs.image_ids,
            pairs.patient_ids,
            np.repeat(pairs.targets[4:5], FILMS, axis=0),
            np.ones_like(pairs.mask),
            (None,) * FILMS,
        )
        scores = validate_localizer(model, store, same, objective, CPU)
    assert scores.match is None
    assert scores.boxes is None


def test_validation_leaves_the_model_in_the_mode_it_was_in(planted):
    with RoiStore(planted.store) as store:
        model, pairs, objective = make_setting(planted, store)
        for mode in (True, False):
            validate_localizer(model.train(mode), store, pairs, objective, CPU)
            assert model.training is mode
