"""Film maps: the detector's own outputs, candidate by candidate."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from data_manifests.support.errors import CheckpointError
from detector import film_maps
from detector.detector import Detector
from detector.film_maps import (
    HEADER,
    NO_REGION,
    StackedMaps,
    read_film_maps,
    write_film_maps,
)
from tests.detector.films import make_detector, make_films, tiny_config

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    films = make_films(folder / "films", train=2, val=1, size=(96, 96))
    detector = Detector(make_detector(image_size=96), tiny_config(image_size=96), "0" * 64)
    return write_film_maps(detector, films, folder / "maps", device=CPU, candidates=40), folder


def test_the_detectors_own_tower_on_the_maps_gives_the_stored_logits(stored):
    maps, _ = stored
    tower = make_detector(image_size=96).head.classification_head
    with torch.no_grad():
        found = tower([level.float() for level in maps.pyramid(np.arange(3), CPU)])[..., 0]
    anchors = torch.from_numpy(maps.anchors.astype(np.int64))
    has_area = maps.logits > NO_REGION
    # The maps were rounded to float16.
    logits = found.gather(1, anchors).numpy()
    np.testing.assert_allclose(logits[has_area], maps.logits[has_area], atol=0.02)
    assert (np.diff(maps.logits[0][has_area[0]]) <= 0).all()


def test_maps_are_read_as_they_were_written_and_subsets_are_rows(stored):
    maps, folder = stored
    again = read_film_maps(folder / "maps")
    assert again.image_ids == maps.image_ids
    part = again.subset(np.array([2, 0]))
    np.testing.assert_array_equal(part.maps[1], maps.maps[0])
    np.testing.assert_array_equal(part.boxes[0], maps.boxes[2])


@pytest.mark.parametrize("other", [{}, {"candidates": 30}], ids=["the same call", "another"])
def test_an_interrupted_call_goes_on_and_ends_with_the_same_bytes(tmp_path, monkeypatch, other):
    films = make_films(tmp_path / "films", train=5, val=2, size=(96, 96))
    detector = Detector(make_detector(image_size=96), tiny_config(image_size=96), "0" * 64)
    asked = {"device": CPU, "candidates": 40, "batch_size": 2} | other
    write_film_maps(detector, films, tmp_path / "whole", **asked)
    computed, candidates_of = [], film_maps._candidates

    def dies(model, core, images, count, side):
        computed.append(len(images))
        if len(computed) == 3:
            raise KeyboardInterrupt
        return candidates_of(model, core, images, count, side)

    with monkeypatch.context() as patch:
        patch.setattr(film_maps, "_candidates", dies)
        with pytest.raises(KeyboardInterrupt):
            write_film_maps(detector, films, tmp_path / "maps", **{**asked, "candidates": 40})
    with pytest.raises(CheckpointError):
        read_film_maps(tmp_path / "maps")
    computed.clear()
    monkeypatch.setattr(
        film_maps, "_candidates", lambda *a: (computed.append(len(a[2])), candidates_of(*a))[1]
    )
    write_film_maps(detector, films, tmp_path / "maps", **asked)
    assert sum(computed) == (5 if not other else 7)  # two blocks were done, one is done again
    for path in (tmp_path / "whole").iterdir():
        assert (tmp_path / "maps" / path.name).read_bytes() == path.read_bytes(), path.name
    assert {path.name for path in (tmp_path / "maps").iterdir()} == {
        path.name for path in (tmp_path / "whole").iterdir()
    }


def test_maps_of_another_version_are_refused(stored):
    _, folder = stored
    header = json.loads((folder / "maps" / HEADER).read_text())
    other = folder / "other"
    other.mkdir()
    (other / HEADER).write_text(json.dumps({**header, "format_version": 99}))
    with pytest.raises(CheckpointError, match="format_version 99"):
        read_film_maps(other)


def test_rows_of_stacked_maps_are_those_of_the_joined_array():
    parts = [np.random.default_rng(k).normal(size=(n, 2, 3)) for k, n in enumerate((4, 1, 5))]
    joined, stacked = np.concatenate(parts), StackedMaps.of(parts)
    rows = np.array([9, 0, 4, 3, 4])
    np.testing.assert_array_equal(stacked[rows], joined[rows])
    np.testing.assert_array_equal(stacked[2:8][np.array([0, 5])], joined[[2, 7]])
    np.testing.assert_array_equal(np.asarray(stacked), joined)
    assert stacked.shape == joined.shape
