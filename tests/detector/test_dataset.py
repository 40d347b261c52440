"""Training films: the order of an epoch, its dealing out, and films that do not fit their rows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_manifests.support.errors import ConfigError, DataError
from data_manifests.tables.manifest import make_manifest
from detector.dataset import FilmDataset, FilmKey, MicroBatches, draw_weights, epoch_order
from tests.detector.films import make_films, tiny_training

sizes = st.integers(1, 60)
batches = st.integers(1, 6)


@given(films=sizes, batch=batches, epoch=st.integers(0, 5))
def test_an_epoch_shows_every_film_once_and_fills_its_last_batch(films, batch, epoch):
    order = epoch_order(films, None, tiny_training(batch_size=batch), epoch)
    assert len(order) % batch == 0
    assert len(order) - films < batch
    assert sorted(order[:films]) == list(range(films))
    assert (order[films:] == np.resize(order[:films], len(order))[films:]).all()


def test_epochs_and_seeds_have_orders_of_their_own():
    one = epoch_order(50, None, tiny_training(), 0)
    assert (one == epoch_order(50, None, tiny_training(), 0)).all()
    assert (one != epoch_order(50, None, tiny_training(), 1)).any()
    assert (one != epoch_order(50, None, tiny_training(seed=1), 0)).any()


def keys(films, training, *, first_step=0, rank=0, world_size=1):
    sampler = MicroBatches(
        films, None, training, first_step=first_step, rank=rank, world_size=world_size
    )
    return sampler, list(sampler)


@given(
    films=sizes, own=st.integers(1, 4), world=st.integers(1, 4), micro=st.integers(1, 5) | st.none()
)
def test_processes_together_see_the_films_of_one_process(films, own, world, micro):
    training = tiny_training(batch_size=own * world, micro_batch=micro, epochs=3)
    alone, whole = keys(films, training)
    parts = [keys(films, training, rank=rank, world_size=world) for rank in range(world)]
    for sampler, _ in (*parts, (alone, whole)):
        assert sampler.steps_per_epoch == alone.steps_per_epoch
    steps = alone.steps_per_epoch * 3

    def step_of(sampler, found, step):
        per_step = sampler.micro_batches_per_step
        return [key for one in found[step * per_step : (step + 1) * per_step] for key in one]

    for step in range(steps):
        dealt = [step_of(sampler, found, step) for sampler, found in parts]
        assert {len(one) for one in dealt} == {own}
        together = sorted((k for one in dealt for k in one), key=lambda k: k.position)
        assert together == step_of(alone, whole, step)
    if micro:
        assert max(len(one) for _, found in parts for one in found) <= micro


@given(films=sizes, batch=batches, share=st.floats(0, 1))
def test_a_resumed_run_sees_the_rest_of_the_films(films, batch, share):
    training = tiny_training(batch_size=batch, epochs=3)
    sampler, whole = keys(films, training)
    first_step = int(share * sampler.steps_per_epoch * 3)
    _, rest = keys(films, training, first_step=first_step)
    assert rest == whole[first_step:]


def manifest(boxed=(True, True, False, False), sources=("a", "a", "a", "b")):
    names = [f"f{k}" for k in range(len(boxed))]
    images = pd.DataFrame(
        {"image_id": names, "patient_id": names, "study_id": names, "path": names}
    ).assign(source=list(sources))
    boxes = pd.DataFrame({"image_id": [n for n, b in zip(names, boxed, strict=True) if b]})
    return make_manifest(images, boxes.assign(x1=1.0, y1=1.0, x2=9.0, y2=9.0))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, None),
        ({"epoch_films": 10}, [0.25] * 4),
        ({"boxed_share": 0.8}, [0.4, 0.4, 0.1, 0.1]),
        ({"source_weights": {"b": 3}}, [1 / 6, 1 / 6, 1 / 6, 0.5]),
        ({"boxed_share": 0.6, "source_weights": {"b": 3}}, [0.3, 0.3, 0.1, 0.3]),
        ({"boxed_share": 1.0}, [0.5, 0.5, 0, 0]),
    ],
)
def test_weights_give_each_group_its_share(settings, expected):
    found = draw_weights(manifest(), tiny_training(**settings))
    if expected is None:
        assert found is None
    else:
        np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"source_weights": {"rsna": 2}}, r"sources of the training films \(a, b\), got rsna"),
        ({"source_weights": {"a": 0, "b": 0}}, "leave no film"),
        ({"source_weights": {"b": 0, "a": 0}, "boxed_share": 0.5}, "leave no film"),
    ],
)
def test_weights_that_draw_nothing_are_refused(settings, told):
    with pytest.raises(ConfigError, match=told):
        draw_weights(manifest(), tiny_training(**settings))


def test_drawn_films_follow_the_weights():
    training = tiny_training(boxed_share=0.7, epoch_films=4000, batch_size=1)
    order = epoch_order(4, draw_weights(manifest(), training), training, 0)
    assert len(order) == 4000
    assert abs((order < 2).mean() - 0.7) < 0.03


def test_a_film_comes_with_its_boxes_in_the_models_frame(tmp_path):
    films = make_films(tmp_path, size=(128, 96))
    dataset = FilmDataset(films, image_size=64, seed=None)
    one = dataset[FilmKey(2, 0, 0)]
    assert one.image_id == "film2"
    assert one.image.shape == (3, 48, 64)
    expected = films.boxes_of("film2").xyxy / 2
    np.testing.assert_allclose(one.boxes.numpy(), expected, atol=1e-5)
    x1, y1, x2, y2 = expected[0].round().astype(int)
    assert one.image[0, y1 + 1 : y2 - 1, x1 + 1 : x2 - 1].min() > 0.5


def test_augmentation_comes_from_epoch_and_place_not_from_order(tmp_path):
    dataset = FilmDataset(make_films(tmp_path), image_size=64, seed=5)
    first = dataset[FilmKey(1, 3, 7)].image
    dataset[FilmKey(0, 0, 0)]
    assert (dataset[FilmKey(1, 3, 7)].image == first).all()
    assert (dataset[FilmKey(1, 4, 7)].image != first).any()


def changed(films, **columns):
    return dataclasses.replace(films, images=films.images.assign(**columns))


def test_a_film_of_another_size_than_its_row_is_refused(tmp_path):
    films = changed(make_films(tmp_path), width=128, height=128)
    dataset = FilmDataset(films, image_size=64, seed=None)
    with pytest.raises(DataError, match="film film1, field width,height: expected 128 x 128"):
        dataset[FilmKey(1, 0, 0)]


def test_a_box_outside_a_film_of_unknown_size_is_refused(tmp_path):
    unknown = pd.array([pd.NA] * 6, dtype="Int64")
    films = changed(make_films(tmp_path), width=unknown, height=unknown)
    boxes = films.boxes.copy()
    boxes.loc[boxes["image_id"] == "film1", "x2"] = 65.0
    dataset = FilmDataset(dataclasses.replace(films, boxes=boxes), image_size=64, seed=None)
    assert dataset[FilmKey(0, 0, 0)].boxes.shape == (1, 4)
    with pytest.raises(DataError, match=r"film1, field x1,y1,x2,y2: expected boxes inside 64 x 64"):
        dataset[FilmKey(1, 0, 0)]


def test_a_bad_film_comes_out_of_a_loader_process_as_the_error_it_is(tmp_path):
    films = make_films(tmp_path)
    (tmp_path / "film0.png").write_bytes(b"")
    dataset = FilmDataset(films, image_size=64, seed=None)
    error = dataset.__getitems__([FilmKey(1, 0, 0), FilmKey(0, 0, 1)])
    assert isinstance(error, DataError)
    assert "film0.png" in str(error)
    assert "Traceback" not in str(error)
