from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from data_manifests.support.atomic import file_sha256
from detector.film_stream import StreamedFilm, batches_of_one_size, stream_films


@pytest.fixture
def paths(tmp_path):
    rng = np.random.default_rng(0)
    found = []
    for number in range(7):
        found.append(tmp_path / f"{number}.png")
        Image.fromarray(rng.integers(0, 255, (40, 50 + number), dtype=np.uint8)).save(found[-1])
    return found


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("ahead", [1, 4, 100])
def test_films_come_in_the_order_asked_for(paths, threads, ahead):
    rows = [3, 0, 6, 2]
    films = list(stream_films(paths, rows, image_size=64, threads=threads, ahead=ahead))
    assert [film.row for film in films] == rows
    assert [film.width for film in films] == [53, 50, 56, 52]
    assert all(film.image.shape[2] == 64 and film.error is None for film in films)


def test_an_unreadable_film_is_a_reason_in_its_place(paths):
    paths[1].write_bytes(paths[1].read_bytes()[:60])
    films = list(stream_films(paths, [0, 1, 2], image_size=64, threads=2, ahead=2))
    assert [film.error is None for film in films] == [True, False, True]
    assert "1.png" in str(films[1].error)
    assert films[1].image is None


def test_few_films_wait_in_memory(paths, monkeypatch):
    import detector.film_stream as module

    read = []
    real = module._read
    monkeypatch.setattr(module, "_read", lambda *a: (read.append(a[1]), real(*a))[1])
    stream = stream_films(paths, range(7), image_size=64, threads=1, ahead=2)
    next(stream)
    assert len(read) <= 2
    stream.close()


def film(row, side):
    import torch

    image = None if side is None else torch.zeros(3, 1, side)
    return StreamedFilm(row, image, 0, 0, 1.0, 1.0, None)


@given(st.lists(st.sampled_from([4, 8, None]), max_size=30), st.integers(1, 6))
def test_batches_keep_the_order_have_one_size_and_stay_inside_their_block(sides, batch_size):
    films = [film(row, side) for row, side in enumerate(sides)]
    batches = list(batches_of_one_size(iter(films), batch_size))
    assert [one.row for batch in batches for one in batch] == list(range(len(sides)))
    for batch in batches:
        assert len({sides[one.row] for one in batch}) == 1
        assert len(batch) == 1 or batch[0].image is not None
        assert len({one.row // batch_size for one in batch}) == 1


@given(st.lists(st.sampled_from([4, 8]), min_size=1, max_size=30), st.integers(1, 6))
def test_a_run_from_any_block_has_the_batches_of_the_whole_run(sides, batch_size):
    films = [film(row, side) for row, side in enumerate(sides)]

    def batches(start):
        found = batches_of_one_size(iter(films[start:]), batch_size)
        return [[one.row for one in batch] for batch in found]

    whole = batches(0)
    for start in range(0, len(sides), batch_size):
        assert batches(start) == [batch for batch in whole if batch[0] >= start]


def test_a_film_that_changed_after_its_checksum_was_taken_is_unreadable(paths):
    declared = [file_sha256(path) for path in paths]
    paths[2].write_bytes(paths[3].read_bytes())
    declared[4], declared[5] = "", declared[5].upper()
    films = stream_films(paths, range(7), image_size=64, threads=1, ahead=2, checksums=declared)
    errors = {film.row: str(film.error) for film in films if film.error is not None}
    assert list(errors) == [2]
    assert "2.png, field sha256: expected sha256" in errors[2]
