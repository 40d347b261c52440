"""Training on a store whose truth is planted."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from data_manifests.laterality import is_on_side
from data_manifests.support.errors import ConfigError, DataError
from detector.film_stream import StreamedFilm
from detector.proposals import Rois
from detector.roi_store import RoiStore
from localize.inference.film_regions import rank_films
from localize.network.config import LocalizerConfig
from localize.network.film_evidence import film_evidence
from localize.network.film_head import FilmHead, fit_film_head
from localize.network.localizer import Localizer, Regions, build_localizer, load_localizer_weights
from localize.training import objective as objective_module
from localize.training.training_data import TrainingData
from tests.localize.models import (
    CPU,
    FEATURE_WIDTH,
    KEYWORDS,
    SIDE,
    WORD_WIDTH,
    Planted,
    make_words,
    plant_store,
    tiny_localizer,
    tiny_training,
    train_data,
    train_planted,
)


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Planted:
    return plant_store(tmp_path_factory.mktemp("planted"), films=60, val=20)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Planted:
    return plant_store(tmp_path_factory.mktemp("small"), films=14, val=4, regions=4)


def trained(folder, config: LocalizerConfig) -> Localizer:
    model = build_localizer(
        config, feature_width=FEATURE_WIDTH, word_width=WORD_WIDTH, keywords=len(KEYWORDS)
    )
    load_localizer_weights(model, folder / "localizer.safetensors")
    return model.eval()


def val_regions(planted: Planted) -> tuple[Regions, np.ndarray]:
    """The regions of the validation films and which of them is the planted one."""
    with RoiStore(planted.store) as store:
        rows = planted.pairs("val", store).rows
        return Regions.from_batch(store.read(rows), CPU), planted.planted[rows]


def metrics_of(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("negatives", ["lowest", "batch"])
@pytest.mark.parametrize("alpha", ["free", "anchored"])
def test_training_moves_alpha_to_the_region_that_the_report_is_about(
    planted, tmp_path, alpha, negatives
):
    config = tiny_localizer(alpha=alpha)
    training = tiny_training(epochs=12, negatives=negatives, patience=12)
    train_planted(planted, tmp_path, config=config, training=training)
    regions, truth = val_regions(planted)
    films = np.arange(len(truth))
    at_start = torch.softmax(regions.score_logits(), dim=1)  # of the anchored; a free one is flat
    with torch.no_grad():
        output = trained(tmp_path, config)(regions)
    assert output.alpha[films, truth].mean() > 2 * at_start[films, truth].mean()
    assert (output.alpha.argmax(dim=1).numpy() == truth).mean() >= 0.9
    epochs = [line for line in metrics_of(tmp_path) if "epoch" in line]
    assert epochs[-1]["boxes"] > epochs[0]["boxes"] + 0.3


def test_attributes_are_read_off_the_film_after_training(planted, tmp_path):
    # Here features say the words of place, too, which geometry cannot.
    config = tiny_localizer(pooling="features", film_evidence=False)
    train_planted(planted, tmp_path, config=config, training=tiny_training(epochs=12, patience=12))
    regions, _ = val_regions(planted)
    with RoiStore(planted.store) as store:
        words = planted.pairs("val", store).words
    with torch.no_grad():
        output = trained(tmp_path, config)(regions)
    assert ((output.attribute_logits > 0).numpy() == words).mean() >= 0.9


def test_the_film_head_is_fitted_and_changes_nothing_else(planted, tmp_path):
    weights = []
    for has_answer in (True, False):
        config = tiny_localizer(film_evidence=has_answer)
        train_planted(planted, tmp_path / str(has_answer), config=config)
        weights.append(load_file(tmp_path / str(has_answer) / "localizer.safetensors"))
    own = {name for name in weights[0] if name.startswith("film_head.")}
    assert weights[0].keys() - own == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])


def test_the_film_head_is_that_of_a_fit_film_by_film(planted, tmp_path):
    with RoiStore(planted.store) as store:
        pairs = planted.pairs("train", store)
        random = np.random.default_rng(0)
        mask = (random.random(pairs.mask.shape) < 0.8).astype(np.float32)
        pairs = dataclasses.replace(pairs, mask=mask)
        evidence = []
        for row in pairs.rows:
            one = Regions.from_batch(store.read(np.array([row])), CPU)
            evidence.append(film_evidence(one.geometry, one.score_logits(), one.mask)[0].numpy())
        data = TrainingData(store, pairs, planted.pairs("val", store), planted.words)
        train_data(data, tmp_path, training=tiny_training(epochs=1))
    expected = FilmHead(len(KEYWORDS))
    fit_film_head(expected, np.array(evidence, np.float64), pairs.targets, mask)
    assert expected.is_fitted.all()
    weights = load_file(tmp_path / "localizer.safetensors")
    for name, tensor in expected.state_dict().items():
        torch.testing.assert_close(weights[f"film_head.{name}"], tensor, rtol=1e-4, atol=1e-5)


def test_without_classification_the_attribute_head_stays_as_it_began(small, tmp_path):
    training = tiny_training(bce_weight=0.0, weight_decay=0.0, min_change=0.0)
    train_planted(small, tmp_path, training=training)
    weights = load_file(tmp_path / "localizer.safetensors")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        fresh = build_localizer(
            tiny_localizer(),
            feature_width=FEATURE_WIDTH,
            word_width=WORD_WIDTH,
            keywords=len(KEYWORDS),
        ).state_dict()
    head = [name for name in fresh if name.startswith(("attribute_head", "film_head"))]
    assert len(head) == 9
    assert all(torch.equal(weights[name], fresh[name]) for name in head)
    assert not torch.equal(
        weights["fusion.from_feature.weight"], fresh["fusion.from_feature.weight"]
    )


def test_features_are_standardised_by_the_training_films(small, tmp_path):
    train_planted(small, tmp_path, training=tiny_training(epochs=1))
    weights = load_file(tmp_path / "localizer.safetensors")
    with RoiStore(small.store) as store:
        features = store.read(small.pairs("train", store).rows).features.reshape(-1, FEATURE_WIDTH)
    torch.testing.assert_close(weights["fusion.feature_mean"].numpy(), features.mean(axis=0))
    torch.testing.assert_close(weights["fusion.feature_std"].numpy(), features.std(axis=0))


@pytest.mark.slow
def test_left_raises_regions_on_the_right_half_of_the_film(tmp_path):
    """The patient's left is the right half. Only the boxes tell sides; the words only "left"."""
    planted = plant_store(tmp_path, films=120, val=60, sides_by_geometry=True)
    config = tiny_localizer()
    training = tiny_training(epochs=20, patience=20)
    train_planted(planted, tmp_path / "run", config=config, training=training)
    regions, _ = val_regions(planted)
    model = trained(tmp_path / "run", config)
    with torch.no_grad():
        answers = model.region_attributes(regions, model.fuse(regions)).numpy()
    boxes = SIDE * regions.geometry.double().numpy()
    for side in ("left", "right"):
        is_right = [is_on_side(film, SIDE, side) for film in boxes]
        best = answers[:, :, KEYWORDS.index(side)].argmax(axis=1)
        found = [film[k] for film, k in zip(is_right, best, strict=True) if film.any()]
        assert len(found) > 50
        assert np.mean(found) >= 0.95


@pytest.mark.parametrize("selection", ["loss", "boxes"])
def test_the_stored_epoch_is_the_best_of_the_metrics(planted, tmp_path, selection):
    training = tiny_training(epochs=6, selection=selection, min_change=0.0, patience=6)
    result = train_planted(planted, tmp_path, training=training)
    epochs = [line for line in metrics_of(tmp_path) if "epoch" in line]
    assert [line["epoch"] for line in epochs] == list(range(7))  # 0 is the untouched model
    values = [line["loss"] if selection == "loss" else -line["boxes"] for line in epochs]
    best = int(np.argmin(values))
    assert result.best_epoch == best
    assert result.best_value == values[best]
    described = json.loads((tmp_path / "localizer.json").read_text())
    assert described["validation"] == {
        "epoch": best,
        **{name: epochs[best][name] for name in ("loss", "match", "boxes")},
    }
    assert described["keywords"] == list(KEYWORDS)


def test_training_stops_when_validation_no_longer_gets_better(small, tmp_path):
    training = tiny_training(epochs=50, lr=1e-9, patience=3)
    result = train_planted(small, tmp_path, training=training)
    epochs = [line["epoch"] for line in metrics_of(tmp_path) if "epoch" in line]
    assert result.best_epoch == 0
    assert epochs == [0, 1, 2, 3]


def test_every_film_is_seen_in_every_epoch_and_batches_are_full(small, tmp_path, monkeypatch):
    seen = []
    original = objective_module.Objective.parts

    def spy(self, model, batch):
        if model.training:
            seen.append(list(batch.image_ids))
        return original(self, model, batch)

    monkeypatch.setattr(objective_module.Objective, "parts", spy)
    train_planted(small, tmp_path, training=tiny_training(epochs=2, batch_size=4))
    assert [len(batch) for batch in seen] == [4] * 6  # 10 films: 3 steps an epoch
    for epoch in (seen[:3], seen[3:]):
        assert {film for batch in epoch for film in batch} == {
            f"film-{n:03d}" for n in range(4, 14)
        }
    assert seen[:3] != seen[3:]


def test_the_callers_random_numbers_are_not_touched(small, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    config = tiny_localizer(dropout=0.5)
    train_planted(small, tmp_path, config=config, training=tiny_training(epochs=1))
    assert torch.equal(torch.rand(3), expected)


def test_two_seeds_differ_and_one_seed_repeats(small, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        config = tiny_localizer(dropout=0.5)
        train_planted(
            small, tmp_path / name, config=config, training=tiny_training(epochs=2, seed=seed)
        )
    first, again, other = (
        (tmp_path / name / "metrics.jsonl").read_bytes() for name in ("a", "b", "c")
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("film", "where"),
    [
        (6, "features not finite on films film-006"),
        (1, "validation: loss not finite on films film-001"),
    ],
    ids=["a training film", "a validation film"],
)
def test_features_that_are_not_numbers_stop_the_training_and_name_the_film(tmp_path, film, where):
    planted = plant_store(tmp_path, films=14, val=4, regions=4, spoil=(film,))
    with pytest.raises(FloatingPointError, match=where):
        train_planted(planted, tmp_path / "run")
    assert not (tmp_path / "run" / "localizer.safetensors").exists()


@pytest.mark.parametrize("name", ["scores", "boxes"])
def test_scores_and_boxes_that_are_not_numbers_name_the_film(tmp_path, name):
    planted = plant_store(tmp_path, films=14, val=4, regions=4)
    with RoiStore(planted.store, writable=True) as store:
        values = store.read(np.array([6]))
        array = np.full_like(getattr(values, name)[0], np.nan)
        store._arrays[name].write(6, array)  # `write` itself refuses
    with pytest.raises(FloatingPointError, match="scores or boxes not finite on films film-006;"):
        train_planted(planted, tmp_path / "run")
    assert not (tmp_path / "run" / "localizer.safetensors").exists()


def test_a_loss_that_is_not_finite_names_step_part_and_film(small, tmp_path, monkeypatch):
    original = objective_module.Objective.parts

    def losses(self, model, batch):
        found = original(self, model, batch)
        if model.training and "film-009" in batch.image_ids:
            place = batch.image_ids.index("film-009")
            found["bce"] = found["bce"].clone()
            found["bce"][place] = torch.inf
        return found

    monkeypatch.setattr(objective_module.Objective, "parts", losses)
    with pytest.raises(FloatingPointError) as caught:
        train_planted(small, tmp_path, training=tiny_training(batch_size=10))
    assert str(caught.value) == "step 0: bce not finite on films film-009; the checkpoint is kept"


def test_a_gradient_that_is_not_finite_stops_before_it_reaches_the_weights(
    small, tmp_path, monkeypatch
):
    original = objective_module.Objective.parts

    def losses(self, model, batch):
        found = original(self, model, batch)
        if model.training:  # zero, with an infinite slope
            found["bce"] = found["bce"] + (found["bce"] - found["bce"].detach()).abs().sqrt()
        return found

    monkeypatch.setattr(objective_module.Objective, "parts", losses)
    with pytest.raises(FloatingPointError, match="step 0: gradient not finite"):
        train_planted(small, tmp_path)


def test_a_film_in_both_sets_is_refused(small, tmp_path):
    shared = {"image_ids": ("film-004", "film-001", "film-002", "film-003")}
    with pytest.raises(DataError, match="without a common film, got 1 in both"):
        train_planted(small, tmp_path, **shared)


def test_a_patient_in_both_sets_is_refused(small, tmp_path):
    shared = {"patient_ids": ("patient-004", "patient-001", "patient-005", "patient-003")}
    with pytest.raises(DataError, match="without a common patient, got 2 in both"):
        train_planted(small, tmp_path, **shared)


def test_words_of_another_lexicon_are_refused(small, tmp_path):
    words = make_words(KEYWORDS[:4], ("a", "a", "b", "b"), (1, 0, 3, 2))
    with pytest.raises(DataError, match="expected 6 keywords, as the train targets, got 4"):
        train_planted(small, tmp_path, words=words)


def test_selection_by_boxes_needs_validation_boxes(small, tmp_path):
    training = tiny_training(selection="boxes")
    with pytest.raises(DataError, match=r"training\.selection=loss"):
        train_planted(small, tmp_path, training=training, boxes=(None,) * 4)
    assert not tmp_path.joinpath("checkpoint.pt").exists()


@pytest.mark.parametrize(
    ("config", "training", "message"),
    [
        ({"hidden": 17}, {}, "localizer.hidden: 16 before, 17 now"),
        ({}, {"lr": 0.5}, r"training.lr: 0.01 before, 0.5 now"),
        ({}, {"epochs": 9}, "training.epochs: 3 before, 9 now"),
    ],
)
def test_other_settings_are_refused_on_resume(small, tmp_path, config, training, message):
    train_planted(small, tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(ConfigError, match=message):
        train_planted(
            small, tmp_path, config=tiny_localizer(**config), training=tiny_training(**training)
        )
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


def test_a_run_from_before_film_evidence_goes_on_without_it(small, tmp_path):
    config = tiny_localizer(film_evidence=False)
    train_planted(small, tmp_path, config=config)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del state["config"]["localizer"]["film_evidence"]
    torch.save(state, tmp_path / "checkpoint.pt")
    train_planted(small, tmp_path, config=config)
    with pytest.raises(ConfigError, match="film_evidence: False before, True now"):
        train_planted(small, tmp_path)


def test_other_films_or_words_are_refused_on_resume(small, tmp_path):
    train_planted(small, tmp_path)
    with pytest.raises(ConfigError, match=r"data\.words_sha256"):
        train_planted(small, tmp_path, words=make_words(seed=1))
    other = np.zeros((4, len(KEYWORDS)), np.float32)
    with pytest.raises(ConfigError, match=r"data\.val_sha256"):
        train_planted(small, tmp_path, targets=other)


def test_another_detectors_store_is_refused_on_resume(small, tmp_path):
    train_planted(small, tmp_path)
    with RoiStore(small.store) as store:
        pairs = [small.pairs(name, store) for name in ("train", "val")]
        store.header = dataclasses.replace(store.header, detector_sha256="e" * 64)
        with pytest.raises(ConfigError, match="detector_sha256: 'd"):
            train_data(TrainingData(store, *pairs, small.words), tmp_path)


def test_a_finished_training_is_not_trained_again(small, tmp_path):
    first = train_planted(small, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert train_planted(small, tmp_path) == first
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_the_run_folder_tells_how_to_repeat_it(small, tmp_path):
    train_planted(small, tmp_path)
    described = json.loads((tmp_path / "run.json").read_text())
    assert described["training"]["lr"] == 0.01
    assert described["detector_sha256"] == "d" * 64
    assert len(described["data"]["train_sha256"]) == 64
    assert {"torch", "git_commit", "threads", "time_utc"} <= described["provenance"].keys()


def test_a_trained_localizer_ranks_the_planted_box_first(planted, tmp_path):
    """From weights on disk to ranked boxes, as prediction does it."""
    config = tiny_localizer()
    train_planted(planted, tmp_path, config=config, training=tiny_training(epochs=12, patience=12))
    with RoiStore(planted.store) as store:
        rows = planted.pairs("val", store).rows
        batch = store.read(rows)
    rois = [
        Rois(*(torch.from_numpy(part[k]) for part in (batch.features, batch.boxes, batch.scores)))
        for k in range(len(rows))
    ]
    film = StreamedFilm(0, torch.zeros(3, SIDE, SIDE), SIDE, SIDE, 1.0, 1.0, None)
    ranked = rank_films(trained(tmp_path, config), rois, [film] * len(rois), config, limit=3)
    hits = [
        np.allclose(one.xyxy[0], rois[k].boxes[planted.planted[rows[k]]])
        for k, one in enumerate(ranked)
    ]
    assert np.mean(hits) >= 0.9
