"""The network's parts against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from attributes.anomalies.structure_ct import AnomalyStructurer
from localize.volumes.inference.patches import windows
from localize.volumes.network.aggregator import AnomalyAggregator, ReportAggregator
from localize.volumes.network.encoder import VolumeEncoder
from localize.volumes.network.grounder import AttentionHead
from localize.volumes.network.query import anomaly_query, readable_anomalies
from localize.volumes.network.report_tokens import build_vocabulary
from localize.volumes.network.text_encoder import TextEncoder
from localize.volumes.network.transformer_head import box_maps
from localize.volumes.training.masked_words import pretrain_text

STRUCTURER = AnomalyStructurer()
TEXT = "No effusion. There is a 6 mm nodule in the left lower lobe. A cyst in the liver."
REPORT = STRUCTURER.structure(TEXT)
VOCABULARY = build_vocabulary([REPORT, REPORT])
TOKENS = VOCABULARY.tokenize(REPORT)
NODULE, CYST = readable_anomalies(REPORT, TOKENS)


def words_of(positions):
    flat = np.concatenate(TOKENS.sentences)
    return [VOCABULARY.words[flat[position]] for position in positions]


def test_denied_anomalies_are_not_asked_for():
    assert [a.type for a in (NODULE, CYST)] == ["nodule", "cyst"]
    denied = STRUCTURER.structure("No nodule. The effusion has resolved.")
    assert readable_anomalies(denied, VOCABULARY.tokenize(denied)) == []


def test_a_query_holds_the_tokens_of_each_class():
    query = anomaly_query(NODULE, TOKENS, STRUCTURER.lexicon.organs)
    assert words_of(query.head) == ["nodule"]
    assert words_of(query.phrases[1]) == ["left", "lower", "lobe"]
    assert words_of(query.phrases[2]) == ["6", "mm"]
    assert STRUCTURER.lexicon.organs[query.organ] == "lung"


def test_rare_words_and_numbers_share_tokens():
    words = [VOCABULARY.words[VOCABULARY.number(word)] for word in ("nodule", "17.5", "zebra")]
    assert words == ["nodule", "<number>", "<unknown>"]


def test_the_encoder_has_15_convolutions_and_three_pools():
    encoder = VolumeEncoder(2, width=2, dim=4, map_stride=8)
    kinds = [type(m) for m in encoder.levels.modules()]
    assert (kinds.count(nn.Conv3d), kinds.count(nn.MaxPool3d)) == (15, 3)
    assert encoder(torch.zeros(1, 2, 24, 16, 32)).shape == (1, 4, 3, 2, 4)


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_the_map_stride_is_that_of_the_setting(stride):
    encoder = VolumeEncoder(1, width=2, dim=4, map_stride=stride).eval()
    assert encoder(torch.zeros(1, 1, 16, 16, 16)).shape[2:] == (16 // stride,) * 3


def test_the_aggregator_is_an_lstm_over_organ_classes_and_words():
    torch.manual_seed(0)
    aggregator = AnomalyAggregator(8, len(STRUCTURER.lexicon.organs))
    vectors = torch.randn(len(TOKENS.spans), 8)
    queries = [anomaly_query(a, TOKENS, STRUCTURER.lexicon.organs) for a in (NODULE, CYST)]
    got = aggregator([vectors, vectors], queries)
    for row, query in enumerate(queries):
        steps = [aggregator.organs.weight[query.organ]]
        for k, positions in enumerate(query.phrases):
            steps.append(aggregator.classes.weight[k])
            steps += [vectors[position] for position in positions]
        _, (state, _) = aggregator.lstm(torch.stack(steps)[:, None])
        assert torch.allclose(got[row], state[0, 0], atol=1e-6)


def test_without_structure_the_whole_report_is_read_with_the_phrase_marked():
    torch.manual_seed(0)
    aggregator = ReportAggregator(8)
    vectors = torch.randn(len(TOKENS.spans), 8)
    queries = [anomaly_query(a, TOKENS, STRUCTURER.lexicon.organs) for a in (NODULE, CYST)]
    got = aggregator([vectors, vectors], queries)
    assert not torch.allclose(got[0], got[1])
    same = aggregator([vectors, vectors], [queries[0], queries[0]])
    assert torch.allclose(same[0], same[1])


def test_the_map_is_equation_1_with_a_scale_and_a_bias():
    torch.manual_seed(0)
    head = AttentionHead(AnomalyAggregator(4, 20), 4)
    vectors = torch.randn(len(TOKENS.spans), 4)
    query = anomaly_query(NODULE, TOKENS, STRUCTURER.lexicon.organs)
    cells = torch.randn(1, 4, 2, 3, 2)
    got = head(cells, [vectors], [[query]], (2, 3, 2)).detach()
    source = head.source(head.aggregator([vectors], [query]))[0]
    for place in np.ndindex(2, 3, 2):
        key = head.target.weight[:, :, 0, 0, 0] @ cells[(0, slice(None), *place)]
        expected = (source @ key) / math.sqrt(4) + head.bias
        assert got[(0, *place)] == pytest.approx(float(expected.detach()), abs=1e-5)


def test_sentences_do_not_see_each_other_and_padding_is_not_seen():
    torch.manual_seed(0)
    encoder = TextEncoder(len(VOCABULARY.words), dim=8, layers=1, heads=2).eval()
    (alone,) = encoder.report_vectors([TOKENS])
    single = [encoder(torch.from_numpy(row)[None])[0] for row in TOKENS.sentences]
    assert torch.allclose(alone, torch.cat(single), atol=1e-5)


def test_masked_words_are_learned_and_repeat_with_the_seed():
    def trained(steps):
        torch.manual_seed(0)
        encoder = TextEncoder(len(VOCABULARY.words), dim=8, layers=1, heads=2)
        loss = pretrain_text(encoder, [TOKENS] * 3, VOCABULARY, steps=steps, seed=1)
        return loss, encoder.words.weight.detach().clone()

    (early, _), (late, one), (_, two) = trained(5), trained(80), trained(80)
    assert late < 0.7 * early
    assert torch.equal(one, two)


def test_a_boxs_map_is_positive_inside_it():
    logits = box_maps(torch.tensor([[0.5, 0.25, 0.5, 0.4, 0.5, 1.0]]), (10, 8, 4))
    inside = (logits[0] > 0).nonzero()
    assert inside.amin(0).tolist() == [3, 0, 0]
    assert inside.amax(0).tolist() == [6, 3, 3]


@pytest.mark.parametrize("length", [10, 96, 97, 128, 200, 401])
def test_windows_answer_for_every_voxel_once(length):
    found = windows(length, 96)
    covered = [voxel for window in found for voxel in range(window.start, window.stop)]
    assert covered == list(range(length))
    for window in found:
        assert window.low <= window.start < window.stop <= window.low + 96
        if length > 96:
            assert 0 <= window.low <= length - 96
            assert window.start - window.low >= 16 or window.low == 0 or window is found[-1]
