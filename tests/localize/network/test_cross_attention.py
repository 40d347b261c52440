"""Cross-attention against a slow loop written from the equations of the paper and of SCAN."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from localize.network.cross_attention import EPS, Similarities, cross_attention

B, R, W, D = 3, 7, 5, 6


def make_pair(seed: int = 0, *, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Random regions and words; the second film has 4 regions, the third report 2 words."""
    generator = torch.Generator().manual_seed(seed)
    region_mask = torch.ones(B, R, dtype=torch.bool)
    region_mask[1, 4:] = False
    word_mask = torch.ones(B, W, dtype=torch.bool)
    word_mask[2, 2:] = False
    logits = torch.randn(B, R, generator=generator, dtype=dtype).masked_fill(~region_mask, -1e9)
    return {
        "fused": torch.randn(B, R, D, generator=generator, dtype=dtype),
        "alpha": torch.softmax(logits, dim=1),
        "words": torch.randn(W, D, generator=generator, dtype=dtype),
        "region_mask": region_mask,
        "word_mask": word_mask,
    }


def attend(pair: dict[str, Tensor], axis: str = "scan") -> Similarities:
    return cross_attention(**pair, lambda_a=9.0, lambda_b=4.0, axis=axis)


def cosine(a: list[float], b: list[float]) -> float:
    norm_a, norm_b = math.sqrt(sum(x * x for x in a)), math.sqrt(sum(x * x for x in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / ((norm_a + EPS) * (norm_b + EPS))


def slow_similarities(
    fused: list[list[float]], alpha: list[float], words: list[list[float]], axis: str
) -> tuple[float, float]:
    """S_text and S_roi of one pair without padding, one equation a loop."""
    regions, count, width = range(len(fused)), range(len(words)), range(len(words[0]))
    s = [[cosine(phi, m) for m in words] for phi in fused]
    clipped = [[x if x > 0 else 0.1 * x for x in row] for row in s]
    over_words = [[x / (math.sqrt(sum(y * y for y in row)) + EPS) for x in row] for row in clipped]
    column = [math.sqrt(sum(clipped[i][j] ** 2 for i in regions)) + EPS for j in count]
    over_regions = [[clipped[i][j] / column[j] for j in count] for i in regions]
    ea = [[math.exp(9.0 * x) for x in row] for row in over_words]
    eb = [[math.exp(4.0 * x) for x in row] for row in over_regions]
    row_sum = lambda e, i: sum(e[i])  # noqa: E731
    column_sum = lambda e, j: sum(e[i][j] for i in regions)  # noqa: E731
    if axis == "scan":
        a = [[ea[i][j] / column_sum(ea, j) for j in count] for i in regions]
        b = [[eb[i][j] / row_sum(eb, i) for j in count] for i in regions]
    else:
        a = [[ea[i][j] / row_sum(ea, i) for j in count] for i in regions]
        b = [[eb[i][j] / column_sum(eb, j) for j in count] for i in regions]
    per_word = [
        [sum(alpha[i] * fused[i][d] * a[i][j] for i in regions) for d in width] for j in count
    ]
    per_region = [[sum(words[j][d] * b[i][j] for j in count) for d in width] for i in regions]
    s_text = sum(cosine(per_word[j], words[j]) for j in count) / len(words)
    s_roi = sum(cosine(per_region[i], fused[i]) for i in regions) / len(fused)
    return s_text, s_roi


@pytest.mark.parametrize("axis", ["scan", "paper"])
@pytest.mark.parametrize("seed", range(5))
def test_similarities_equal_the_slow_loop(axis: str, seed: int) -> None:
    pair = make_pair(seed)
    found = attend(pair, axis)
    for film in range(B):
        rows, columns = pair["region_mask"][film], pair["word_mask"][film]
        text, roi = slow_similarities(
            pair["fused"][film][rows].double().tolist(),
            pair["alpha"][film][rows].double().tolist(),
            pair["words"][columns].double().tolist(),
            axis,
        )
        assert float(found.text[film]) == pytest.approx(text, abs=1e-6)
        assert float(found.roi[film]) == pytest.approx(roi, abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(
    extra_regions=st.integers(1, 5),
    extra_words=st.integers(1, 4),
    axis=st.sampled_from(["scan", "paper"]),
)
def test_padding_changes_nothing(extra_regions: int, extra_words: int, axis: str) -> None:
    pair = make_pair()
    padded = {
        "fused": torch.cat([pair["fused"], 7 * torch.randn(B, extra_regions, D)], dim=1),
        "alpha": torch.cat([pair["alpha"], torch.zeros(B, extra_regions)], dim=1),
        "words": torch.cat([pair["words"], torch.randn(extra_words, D)]),
        "region_mask": torch.cat(
            [pair["region_mask"], torch.zeros(B, extra_regions, dtype=torch.bool)], dim=1
        ),
        "word_mask": torch.cat(
            [pair["word_mask"], torch.zeros(B, extra_words, dtype=torch.bool)], dim=1
        ),
    }
    plain, with_padding = attend(pair, axis), attend(padded, axis)
    torch.testing.assert_close(with_padding.text, plain.text, atol=1e-6, rtol=0)
    torch.testing.assert_close(with_padding.roi, plain.roi, atol=1e-6, rtol=0)


@pytest.mark.parametrize("axis", ["scan", "paper"])
def test_the_order_of_regions_and_words_does_not_matter(axis: str) -> None:
    pair = make_pair()
    regions = torch.randperm(R, generator=torch.Generator().manual_seed(1))
    words = torch.randperm(W, generator=torch.Generator().manual_seed(2))
    shuffled = {
        "fused": pair["fused"][:, regions],
        "alpha": pair["alpha"][:, regions],
        "words": pair["words"][words],
        "region_mask": pair["region_mask"][:, regions],
        "word_mask": pair["word_mask"][:, words],
    }
    plain, other = attend(pair, axis), attend(shuffled, axis)
    torch.testing.assert_close(other.text, plain.text, atol=1e-6, rtol=0)
    torch.testing.assert_close(other.roi, plain.roi, atol=1e-6, rtol=0)


def test_the_two_axes_differ() -> None:
    pair = make_pair()
    assert not torch.allclose(attend(pair, "scan").text, attend(pair, "paper").text, atol=1e-3)


def test_words_of_each_pair_may_differ() -> None:
    pair = make_pair()
    own = dict(pair, words=pair["words"].expand(B, -1, -1).clone())
    torch.testing.assert_close(attend(own).text, attend(pair).text)
    own["words"][0] = -own["words"][0]
    assert attend(own).text[0] != attend(pair).text[0]
    torch.testing.assert_close(attend(own).text[1:], attend(pair).text[1:])


def test_a_pair_without_words_has_similarity_zero_and_finite_gradients() -> None:
    pair = make_pair()
    pair["word_mask"][0] = False
    pair["fused"].requires_grad_()
    found = attend(pair)
    assert float(found.text[0].detach()) == 0.0
    assert float(found.roi[0].detach()) == pytest.approx(0.0, abs=1e-6)
    (found.text.sum() + found.roi.sum()).backward()
    assert torch.isfinite(pair["fused"].grad).all()


def test_gradients_are_right_in_double_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    # The function computes in float32; for the check of its derivative it stays in float64.
    monkeypatch.setattr(Tensor, "float", lambda self: self)
    pair = make_pair(dtype=torch.float64)
    fused, alpha = pair["fused"].requires_grad_(), pair["alpha"].requires_grad_()

    def both(phi: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        found = attend(dict(pair, fused=phi, alpha=weights))
        return found.text, found.roi

    assert torch.autograd.gradcheck(both, (fused, alpha))
