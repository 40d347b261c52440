from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from data_manifests.support.errors import ConfigError, DataError
from data_manifests.tables.manifest import read_manifest
from detector import propose
from detector.detector import Detector
from detector.prepare import prepare_film
from detector.proposals import ProposalOptions, propose_rois
from detector.propose import Shard, parse_shard, propose_store
from detector.roi_store import RoiStore
from tests.detector.films import make_detector, make_films, tiny_config

OPTIONS = ProposalOptions(count=7)


@pytest.fixture(scope="module")
def model():
    return make_detector()


def run(model, manifest, out, *, shard=None, skip=False, batch_size=2, options=OPTIONS):
    return propose_store(
        Detector(model, tiny_config(), "d" * 64),
        manifest,
        out,
        options=options,
        shard=shard or Shard(),
        skip_errors=skip,
        batch_size=batch_size,
        device=torch.device("cpu"),
    )


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_store_holds_each_films_regions_in_its_own_pixels(model, tmp_path):
    films = make_films(tmp_path / "m", size=(128, 96))
    report = run(model, films, tmp_path / "store")
    assert (report.written, report.already_done, report.skipped) == (6, 0, ())
    with RoiStore(tmp_path / "store") as store:
        assert store.image_ids() == films.images["image_id"].tolist()
        assert store.status().tolist() == [1] * 6
        batch = store.read(np.array([3]))
    pixels = np.asarray(Image.open(films.film_paths()[3]), np.float32) / 255
    image = torch.from_numpy(prepare_film(pixels, 64).pixels).expand(3, -1, -1)
    expected = propose_rois(model, [image], OPTIONS)[0].best
    np.testing.assert_allclose(batch.boxes[0], expected.boxes.numpy() * 2, atol=1e-2)
    np.testing.assert_allclose(batch.scores[0], expected.scores.numpy(), rtol=1e-4)
    assert batch.sizes.tolist() == [[128, 96]]


def test_a_finished_store_is_not_touched_again(model, tmp_path):
    films = make_films(tmp_path / "m")
    run(model, films, tmp_path / "store")
    before = contents(tmp_path / "store")
    report = run(model, films, tmp_path / "store")
    assert (report.written, report.already_done) == (0, 6)
    assert contents(tmp_path / "store") == before


def test_shards_together_equal_one_run(model, tmp_path):
    films = make_films(tmp_path / "m")
    run(model, films, tmp_path / "whole", batch_size=2)
    for index in (2, 0, 1):
        run(model, films, tmp_path / "parts", shard=Shard(index, 3), batch_size=2)
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_a_bad_film_stops_the_run_and_the_rest_is_done_when_it_is_repaired(model, tmp_path):
    films = make_films(tmp_path / "m")
    run(model, films, tmp_path / "whole")
    good = (tmp_path / "m" / "film4.png").read_bytes()
    (tmp_path / "m" / "film4.png").write_bytes(good[:50])
    with pytest.raises(DataError, match=r"film4\.png"):
        run(model, films, tmp_path / "store")
    (tmp_path / "m" / "film4.png").write_bytes(good)
    run(model, films, tmp_path / "store")
    assert contents(tmp_path / "store") == contents(tmp_path / "whole")


def test_skipped_films_are_listed_every_time_and_tried_again(model, tmp_path):
    films = make_films(tmp_path / "m")
    good = (tmp_path / "m" / "film1.png").read_bytes()
    (tmp_path / "m" / "film1.png").write_bytes(b"")
    for written in (5, 1):  # the second time, the film's neighbour in its batch is done again
        report = run(model, films, tmp_path / "store", skip=True)
        assert report.written == written
        assert [problem.file for problem in report.skipped] == ["film1.png"]
    with RoiStore(tmp_path / "store") as store:
        assert store.status().tolist() == [1, 2, 1, 1, 1, 1]
        assert not store.read(np.array([1])).mask.any()
    (tmp_path / "m" / "film1.png").write_bytes(good)
    assert run(model, films, tmp_path / "store", skip=True).skipped == ()
    with RoiStore(tmp_path / "store") as store:
        assert store.status().tolist() == [1] * 6


def test_when_no_film_can_be_read_skipping_is_an_error(model, tmp_path):
    films = make_films(tmp_path / "m", train=2, val=1)
    for path in films.film_paths():
        path.write_bytes(b"")
    with pytest.raises(DataError, match="3 problems"):
        run(model, films, tmp_path / "store", skip=True)


def test_films_of_mixed_sizes_do_not_change_each_other(model, tmp_path):
    films = make_films(tmp_path / "m")
    for number, size in ((1, (64, 40)), (2, (50, 64))):
        pixels = np.random.default_rng(number).integers(0, 255, size[::-1], dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "m" / f"film{number}.png")
    run(model, films, tmp_path / "together", batch_size=6)
    run(model, films, tmp_path / "alone", batch_size=1)
    with RoiStore(tmp_path / "together") as one, RoiStore(tmp_path / "alone") as other:
        rows = np.arange(6)
        np.testing.assert_allclose(one.read(rows).scores, other.read(rows).scores, rtol=1e-4)
        np.testing.assert_allclose(one.read(rows).boxes, other.read(rows).boxes, atol=0.05)


@pytest.mark.parametrize("text", ["", "1", "a/b", "2/2", "-1/2", "0/0", "1/2/3"])
def test_a_shard_that_is_not_there_is_refused(text):
    with pytest.raises(ConfigError, match="shard"):
        parse_shard(text)


def test_a_shard_is_read_as_i_of_n():
    assert parse_shard("2/4") == Shard(2, 4)


def test_the_written_manifest_serves_as_well(model, tmp_path):
    make_films(tmp_path / "m")
    assert run(model, read_manifest(tmp_path / "m"), tmp_path / "store").written == 6


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory")])
def test_a_batch_that_does_not_fit_is_halved_once(model, tmp_path, monkeypatch, caplog, error):
    films = make_films(tmp_path / "m")
    square = films.subset(np.arange(len(films.images)) < 4)
    sizes = []

    def fits_two(network, images, options, core):
        sizes.append(len(images))
        if len(images) > 2:
            raise error
        return propose_rois(network, images, options, core)

    run(model, square, tmp_path / "whole", batch_size=2)
    monkeypatch.setattr(propose, "propose_rois", fits_two)
    run(model, square, tmp_path / "halved", batch_size=4)
    assert max(sizes) > 2
    assert "--batch-size" in caplog.text
    assert contents(tmp_path / "halved") == contents(tmp_path / "whole")
    monkeypatch.setattr(propose, "propose_rois", lambda *_: fits_two(model, [0] * 3, None, None))
    with pytest.raises(type(error)):  # halved once, not again and again
        run(model, square, tmp_path / "never", batch_size=4)
