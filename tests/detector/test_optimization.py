from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from detector.dataset import FilmDataset, FilmKey, TrainingFilm
from detector.network.model import build_detector
from detector.optimization import average_weights, build_optimizer, learning_rate, training_step
from tests.detector.films import make_detector, make_films, tiny_config, tiny_training

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.1),
        (4, 0.5),
        (9, 1.0),
        (10, 1.0),
        (60, 0.01 + 0.99 / 2),
        (110, 0.01),
        (500, 0.01),
    ],
)
def test_the_rate_warms_up_and_follows_a_cosine_to_one_percent(step, expected):
    assert learning_rate(step, total_steps=110, warmup_steps=10) == pytest.approx(expected)


def test_a_training_shorter_than_its_warm_up_has_a_rate():
    assert [learning_rate(k, 2, 4) for k in range(2)] == [0.25, 0.5]
    assert math.isfinite(learning_rate(4, 4, 4))


def test_every_trained_parameter_is_in_one_group_with_its_rate_and_decay():
    model = build_detector(tiny_config(backbone="resnet18", is_pretrained=True))
    training = tiny_training(lr=0.3, lr_backbone=0.1, weight_decay=0.01)
    optimizer = build_optimizer(model, training)
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    assert len(groups) == sum(len(group["params"]) for group in optimizer.param_groups)
    for name, parameter in model.named_parameters():
        assert (id(parameter) in groups) == parameter.requires_grad, name
        if parameter.requires_grad:
            group = groups[id(parameter)]
            assert group["base_lr"] == (0.1 if name.startswith("backbone.body.") else 0.3), name
            assert group["weight_decay"] == (0.01 if parameter.ndim > 1 else 0.0), name


@pytest.fixture
def films(tmp_path):
    dataset = FilmDataset(make_films(tmp_path), image_size=64, seed=None)
    return [dataset[FilmKey(k, 0, k)] for k in range(4)]


def step(model, batches, optimizer=None, **settings):
    training = tiny_training(**settings)
    return training_step(
        model,
        optimizer or build_optimizer(model, training),
        batches,
        films=sum(len(batch) for batch in batches),
        rate=1.0,
        training=training,
        device=CPU,
    )


def gradients(model, batches):
    """Gradients of one step, by an optimiser that only looks."""
    seen = {}

    class Look(torch.optim.SGD):
        def step(self, closure=None):
            seen.update({n: p.grad.clone() for n, p in model.named_parameters()})

    optimizer = Look(model.parameters(), lr=0.0)
    optimizer.param_groups[0]["base_lr"] = 0.0
    parts = step(model.train(), batches, optimizer, clip_norm=1e9)
    return seen, parts


@pytest.mark.parametrize("cut", [[1, 1, 1, 1], [3, 1], [2, 2]])
def test_micro_batches_add_up_to_the_batch(films, cut):
    # In double precision: a rounding that depends on the batch moves values over ReLU6's corners.
    films = [TrainingFilm(one.image.double(), one.boxes.double(), one.image_id) for one in films]
    whole, parts = gradients(make_detector().double(), [films])
    pieces, start = [], 0
    for size in cut:
        pieces.append(films[start : start + size])
        start += size
    found, found_parts = gradients(make_detector().double(), pieces)
    scale = max(float(gradient.abs().max()) for gradient in whole.values())
    for name, gradient in whole.items():
        torch.testing.assert_close(found[name], gradient, atol=1e-6 * scale, rtol=1e-5)
    for name, value in parts.items():
        assert found_parts[name] == pytest.approx(value, rel=1e-4)


def test_a_step_moves_the_weights_and_lowers_the_loss(films):
    model = build_detector(tiny_config()).train()
    training = tiny_training(lr=1e-3)
    optimizer = build_optimizer(model, training)
    losses = [step(model, [films], optimizer)["loss_classification"] for _ in range(6)]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("poison", "told"),
    [
        ("weight", "loss_classification"),
        ("gradient", "grad_norm"),
    ],
)
def test_a_number_that_is_not_finite_stops_before_the_weights_change(films, poison, told):
    model = make_detector().train()
    if poison == "weight":
        with torch.no_grad():
            model.head.classification_head.cls_logits.bias.fill_(torch.nan)
    else:
        model.head.classification_head.cls_logits.bias.register_hook(lambda g: g * torch.nan)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(FloatingPointError, match=f"{told}.*film0, film1, film2, film3"):
        step(model, [films[:2], films[2:]])
    for name, value in model.state_dict().items():
        assert np.array_equal(value.numpy(), before[name].numpy(), equal_nan=True), name


def test_a_film_that_is_not_finite_is_named(films):
    bad = dataclasses.replace(films[1], image=films[1].image * torch.nan)
    with pytest.raises(FloatingPointError, match="not finite on films film0, film1"):
        step(make_detector().train(), [[films[0], bad]])


def test_averaged_weights_are_the_slow_loop():
    model, averaged = make_detector(), make_detector()
    name = "head.classification_head.cls_logits.bias"
    mean = averaged.get_parameter(name).detach().double().clone()
    for number in range(20):
        with torch.no_grad():
            model.get_parameter(name).normal_(generator=torch.Generator().manual_seed(number))
        average_weights(averaged, model, 0.7, number)
        decay = min(0.7, (1 + number) / (10 + number))
        mean = decay * mean + (1 - decay) * model.get_parameter(name).detach().double()
    torch.testing.assert_close(averaged.get_parameter(name).double(), mean, atol=1e-6, rtol=1e-6)
