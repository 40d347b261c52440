"""`Localizer`: alpha, attributes, and what does not matter to them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from data_manifests.support.errors import CheckpointError
from localize.network.film_evidence import WIDTH, film_evidence
from localize.network.localizer import (
    Localizer,
    LocalizerOutput,
    Regions,
    build_localizer,
    load_localizer_weights,
)
from tests.localize.models import fill_film_head, tiny_localizer

FILMS, REGIONS, FEATURE, WORD, KEYWORDS = 3, 7, 5, 8, 6
ALPHAS = st.sampled_from(["free", "anchored"])
POOLINGS = st.sampled_from(["features", "probabilities"])


def make_model(**changes) -> Localizer:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build_localizer(
            tiny_localizer(**changes), feature_width=FEATURE, word_width=WORD, keywords=KEYWORDS
        )
    model.is_place[:2] = True
    return model.eval()


def make_regions(seed: int = 0) -> Regions:
    """Random regions; the second film has 4, the third 1."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.ones(FILMS, REGIONS, dtype=torch.bool)
    mask[1, 4:] = False
    mask[2, 1:] = False
    return Regions(
        features=torch.randn(FILMS, REGIONS, FEATURE, generator=generator),
        geometry=torch.rand(FILMS, REGIONS, 4, generator=generator),
        scores=torch.rand(FILMS, REGIONS, generator=generator),
        mask=mask,
    )


def run(model: Localizer, regions: Regions) -> LocalizerOutput:
    with torch.no_grad():
        return model(regions)


@pytest.mark.parametrize("alpha", ["free", "anchored"])
def test_alpha_is_a_distribution_over_each_films_regions(alpha):
    regions = make_regions()
    output = run(make_model(alpha=alpha), regions)
    assert output.alpha.dtype == torch.float32
    torch.testing.assert_close(output.alpha.sum(dim=1), torch.ones(FILMS), atol=1e-6, rtol=0)
    assert (output.alpha[~regions.mask] == 0).all()
    assert (output.alpha[regions.mask] > 0).all()


@pytest.mark.parametrize("sharpness", [1.0, 3.0])
def test_anchored_alpha_starts_as_the_softmax_of_the_detectors_logits_exactly(sharpness):
    regions = make_regions()
    output = run(make_model(alpha="anchored", sharpness=sharpness), regions)
    logits = sharpness * regions.scores.logit(1e-6)
    filled = logits.masked_fill(~regions.mask, -torch.inf)
    assert torch.equal(output.alpha, torch.softmax(filled, dim=1))


def test_pooled_features_give_the_head_on_the_weighted_mean_of_phi():
    model, regions = make_model(alpha="free", pooling="features"), make_regions()
    output = run(model, regions)
    for film in range(FILMS):
        pooled = sum(output.alpha[film, k] * output.fused[film, k] for k in range(REGIONS))
        expected = model.attribute_head(pooled)
        torch.testing.assert_close(output.attribute_logits[film], expected, atol=1e-5, rtol=0)


def test_pooled_probabilities_are_the_weighted_mean_of_the_regions_answers():
    model, regions = make_model(alpha="free", pooling="probabilities"), make_regions()
    output = run(model, regions)
    blank = replace(regions, features=model.fusion.feature_mean.expand_as(regions.features))
    with torch.no_grad():
        # The first two keywords are of place: they do not see the features.
        seen, placed = (model.attribute_head(model.fuse(r)).sigmoid() for r in (regions, blank))
    for film in range(FILMS):
        for keyword in range(KEYWORDS):
            answers = placed if keyword < 2 else seen
            mean = sum(
                float(output.alpha[film, k]) * float(answers[film, k, keyword])
                for k in range(REGIONS)
            )
            found = float(output.attribute_logits[film, keyword].sigmoid())
            assert found == pytest.approx(mean, abs=1e-6)


def test_the_films_answer_is_the_mean_of_two_logits_where_there_is_a_second():
    model, regions = make_model(), make_regions()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        fill_film_head(model)
    answer = model.film_head
    output = run(model, regions)
    found = model.film_attributes(regions, output)
    evidence = film_evidence(regions.geometry, regions.score_logits(), regions.mask)
    for film in range(FILMS):
        for keyword in range(KEYWORDS):
            attended = float(output.attribute_logits[film, keyword])
            terms = (evidence[film] - answer.mean) / 2 * answer.weight[keyword]
            own = float(terms.sum() + answer.bias[keyword])
            expected = (attended + own) / 2 if keyword % 2 else attended
            assert float(found[film, keyword].logit()) == pytest.approx(expected, abs=1e-4)
    plain = make_model(film_evidence=False)
    assert torch.equal(plain.film_attributes(regions, output), output.attribute_logits.sigmoid())


def test_words_of_place_do_not_see_the_features():
    model, regions = make_model(pooling="probabilities"), make_regions()
    other = replace(regions, features=regions.features + 5)
    with torch.no_grad():
        first, second = (model.region_attributes(r, model.fuse(r)) for r in (regions, other))
    assert torch.equal(first[..., :2], second[..., :2])
    assert not torch.isclose(first[..., 2:], second[..., 2:]).any()


@pytest.mark.parametrize(("kind", "expected"), [("logit", 2.197225), ("probability", 0.9)])
def test_the_score_enters_as_configured(kind, expected):
    model, regions = make_model(score_input=kind), make_regions()
    regions.scores.fill_(0.9)
    seen = []
    model.fusion.from_score.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    run(model, regions)
    assert seen
    for scores in seen:
        torch.testing.assert_close(scores, torch.full_like(scores, expected))


def test_scores_of_zero_and_one_stay_finite():
    regions = make_regions()
    regions.scores[0, 0], regions.scores[0, 1] = 0.0, 1.0
    output = run(make_model(alpha="anchored"), regions)
    assert torch.isfinite(output.alpha_logits).all()
    assert torch.isfinite(output.attribute_logits).all()


@settings(max_examples=20, deadline=None)
@given(alpha=ALPHAS, pooling=POOLINGS, seed=st.integers(0, 1000))
def test_permuted_regions_give_permuted_weights_and_the_same_attributes(alpha, pooling, seed):
    model, regions = make_model(alpha=alpha, pooling=pooling), make_regions()
    order = torch.randperm(REGIONS, generator=torch.Generator().manual_seed(seed))
    given = {name: value for name, value in vars(regions).items() if value is not None}
    shuffled = Regions(**{name: value[:, order] for name, value in given.items()})
    plain, other = run(model, regions), run(model, shuffled)
    torch.testing.assert_close(other.alpha, plain.alpha[:, order], atol=1e-6, rtol=0)
    torch.testing.assert_close(other.fused, plain.fused[:, order], atol=1e-5, rtol=0)
    torch.testing.assert_close(other.attribute_logits, plain.attribute_logits, atol=1e-6, rtol=0)


@settings(max_examples=20, deadline=None)
@given(alpha=ALPHAS, pooling=POOLINGS, extra=st.integers(1, 9))
def test_padding_changes_nothing(alpha, pooling, extra):
    model, regions = make_model(alpha=alpha, pooling=pooling), make_regions()
    padded = Regions(
        features=torch.cat([regions.features, 9 * torch.randn(FILMS, extra, FEATURE)], dim=1),
        geometry=torch.cat([regions.geometry, torch.rand(FILMS, extra, 4)], dim=1),
        scores=torch.cat([regions.scores, torch.rand(FILMS, extra)], dim=1),
        mask=torch.cat([regions.mask, torch.zeros(FILMS, extra, dtype=torch.bool)], dim=1),
    )
    plain, other = run(model, regions), run(model, padded)
    torch.testing.assert_close(other.alpha[:, :REGIONS], plain.alpha, atol=1e-6, rtol=0)
    torch.testing.assert_close(other.attribute_logits, plain.attribute_logits, atol=1e-6, rtol=0)


def test_a_film_does_not_see_the_other_films_of_its_batch():
    model, regions = make_model(alpha="free"), make_regions()
    given = {name: value for name, value in vars(regions).items() if value is not None}
    alone = run(model, Regions(**{name: value[:1] for name, value in given.items()}))
    together = run(model, regions)
    torch.testing.assert_close(together.alpha[:1], alone.alpha, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        together.attribute_logits[:1], alone.attribute_logits, atol=1e-6, rtol=0
    )


def test_a_film_without_regions_gives_finite_attributes_and_gradients():
    model, regions = make_model(alpha="anchored").train(), make_regions()
    regions.mask[0] = False
    output = model(regions)
    assert (output.alpha[0] == 0).all()
    output.attribute_logits.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def save_weights(path, **changes) -> None:
    state = {name: tensor.clone() for name, tensor in make_model().state_dict().items()}
    save_file({**state, **changes}, path)


def test_weights_load_as_they_were_saved(tmp_path):
    save_weights(tmp_path / "w.safetensors", **{"roi_weights.tau": torch.tensor(0.25)})
    model = make_model()
    load_localizer_weights(model, tmp_path / "w.safetensors")
    assert model.roi_weights.tau.item() == 0.25


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("roi_weights.tau", torch.tensor(float("nan")), "roi_weights.tau has values that are not"),
        ("roi_weights.tau", torch.ones(2), r"roi_weights.tau must have shape \(\)"),
        ("roi_weights.tau", torch.tensor(1), "roi_weights.tau must be of type torch.float32"),
        ("extra", torch.ones(1), "extra is unknown"),
        (
            "film_head.is_fitted",
            torch.ones(KEYWORDS, dtype=torch.int64),
            "film_head.is_fitted must be of type torch.bool, but got torch.int64",
        ),
        ("film_head.std", torch.zeros(WIDTH), "film_head.std must be above 0"),
        ("fusion.feature_std", torch.zeros(FEATURE), "fusion.feature_std must be above 0"),
    ],
    ids=[
        "not finite",
        "another shape",
        "whole numbers",
        "an unknown tensor",
        "numbers for truths",
        "no spread of the film's evidence",
        "no spread of the features",
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(tmp_path, name, tensor, message):
    save_weights(tmp_path / "w.safetensors", **{name: tensor})
    with pytest.raises(CheckpointError, match=message):
        load_localizer_weights(make_model(), tmp_path / "w.safetensors")


def test_weights_of_the_other_kind_of_alpha_are_refused(tmp_path):
    save_weights(tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match=r"roi_weights\.tau is unknown"):
        load_localizer_weights(make_model(alpha="free"), tmp_path / "w.safetensors")


def test_a_file_that_is_no_safetensors_is_refused(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"\x80\x04K\x01.")
    with pytest.raises(CheckpointError, match="expected safetensors"):
        load_localizer_weights(make_model(), tmp_path / "w.safetensors")


def test_a_localizer_without_weights_of_its_own_takes_the_gates_as_alpha():
    regions = make_regions()
    model = make_model()
    model.roi_weights = None
    with pytest.raises(ValueError, match="gates"):
        model(regions)
    gates = torch.randn(FILMS, REGIONS)
    output = run(model, replace(regions, gate_logits=gates))
    open_ = gates.sigmoid() * regions.mask
    torch.testing.assert_close(output.alpha, open_ / open_.sum(dim=1, keepdim=True))
