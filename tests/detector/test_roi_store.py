"""The ROI store: what is written is read, and nothing foreign is opened."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import numpy as np
import pytest
import torch

from data_manifests.support.errors import CheckpointError, DataError
from detector.proposals import FilmRois, ProposalOptions, Rois
from detector.roi_store import RoiStore, StoreHeader, create_store


def header(**changes):
    settings = {
        "films": 4,
        "count": 5,
        "width": 3,
        "detector_sha256": "d" * 64,
        "options": ProposalOptions(count=5),
        **changes,
    }
    return StoreHeader(**settings)


def rois(seed, count=5, width=3):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 30
    return Rois(
        features=torch.randn(count, width, generator=generator),
        boxes=torch.cat([corner, corner + 5], dim=1),
        scores=torch.rand(count, generator=generator),
    )


IDS = ["a", "film of Zoë", "c", "d"]


@pytest.fixture
def store(tmp_path):
    create_store(tmp_path / "store", IDS, header())
    with RoiStore(tmp_path / "store", writable=True) as opened:
        yield opened


def test_what_is_written_is_read_in_film_pixels(store):
    best, lowest = rois(1), rois(2, count=2)
    store.write(2, FilmRois(best, lowest), 400, 300, (0.125, 0.25))
    batch = store.read(np.array([2]))
    np.testing.assert_allclose(batch.boxes[0], best.boxes.numpy() / [0.125, 0.25, 0.125, 0.25])
    np.testing.assert_array_equal(batch.features[0], best.features.half().float().numpy())
    np.testing.assert_array_equal(batch.scores[0], best.scores.numpy())
    assert batch.mask.all()
    assert batch.sizes.tolist() == [[400, 300]]
    negatives = store.read(np.array([2]), lowest=True)
    assert negatives.mask.tolist() == [[True, True, False, False, False]]
    np.testing.assert_array_equal(negatives.scores[0, :2], lowest.scores.numpy())
    assert (negatives.features[0, 2:] == 0).all()


def test_rows_come_in_the_order_asked_for(store):
    for row in range(4):
        store.write(row, FilmRois(rois(row), rois(row + 9)), 100, 100, (1.0, 1.0))
    rows = np.array([3, 0, 3])
    found = store.read(rows).scores
    np.testing.assert_array_equal(found, np.stack([rois(int(k)).scores.numpy() for k in rows]))


def test_rows_of_films_in_the_order_asked_for_skipped_ones_too(store):
    for row in (0, 1, 3):
        store.write(row, FilmRois(rois(row), rois(row)), 10, 10, (1.0, 1.0))
    store.skip(2)
    assert store.rows_of(["d", "a", "c", "a"]).tolist() == [3, 0, 2, 0]
    assert store.rows_of([]).tolist() == []


def test_films_that_are_missing_or_still_to_be_done_are_named(store):
    store.skip(0)
    with pytest.raises(DataError) as caught:
        store.rows_of(["a", "c", "x"])
    assert [problem.got for problem in caught.value.problems] == ["c still to be done", "no x"]
    assert "detector propose" in str(caught.value)


def test_geometry_is_a_share_of_the_film_and_zero_where_there_is_none(store):
    store.write(0, FilmRois(rois(1, count=3), rois(1)), 400, 200, (0.25, 0.25))
    batch = store.read(np.array([0, 1]))
    geometry = batch.geometry()
    expected = rois(1, count=3).boxes.numpy() * 4 / [400, 200, 400, 200]
    np.testing.assert_allclose(geometry[0, :3], expected, rtol=1e-6)
    assert (geometry[0, 3:] == 0).all()
    assert (geometry[1] == 0).all()
    assert not batch.mask[1].any()


def test_ids_and_states_survive_reopening(store):
    store.write(1, FilmRois(rois(0), rois(0)), 50, 50, (1.0, 1.0))
    store.skip(3)
    store.sync()
    with RoiStore(store.folder) as again:
        assert again.image_ids() == IDS
        assert again.status().tolist() == [0, 1, 0, 2]
        assert len(again) == 4


def test_a_corner_that_rounds_outside_is_put_on_the_border(store):
    edge = Rois(torch.zeros(1, 3), torch.tensor([[0.0, 0.0, 64.0, 64.0]]), torch.ones(1))
    scale = 64 / 1023
    store.write(0, FilmRois(edge, edge), 1023, 1023, (scale, scale))
    assert store.read(np.array([0])).boxes.max() <= 1023


@pytest.mark.parametrize("value", [torch.nan, torch.inf, 1e6])
def test_features_that_float16_cannot_hold_are_refused_before_anything_is_written(store, value):
    bad = rois(0)
    bad.features[1, 1] = value
    with pytest.raises(FloatingPointError, match="row 2: features"):
        store.write(2, FilmRois(bad, rois(1)), 50, 50, (1.0, 1.0))
    assert store.status()[2] == 0
    assert (store.read(np.array([2])).scores == 0).all()


def test_more_regions_than_the_store_holds_do_not_spill_into_the_next_film(store):
    with pytest.raises(ValueError, match="for row 1"):
        store.write(1, FilmRois(rois(0, count=6), rois(0)), 50, 50, (1.0, 1.0))
    assert (store.read(np.array([2])).scores == 0).all()


@pytest.mark.parametrize("row", [-1, 4])
def test_rows_that_are_not_there_are_an_error(store, row):
    with pytest.raises(IndexError, match="of a ROI store of 4 films"):
        store.read(np.array([row]))


@pytest.mark.parametrize(
    ("ids", "changes"),
    [
        (["x", *IDS[1:]], {}),
        (IDS, {"detector_sha256": "e" * 64}),
        (IDS, {"options": ProposalOptions(count=5, nms_iou=0.5)}),
        (IDS, {"count": 6}),
        (IDS, {"width": 4}),
        (IDS[:3], {"films": 3}),
    ],
    ids=["film", "detector", "options", "count", "width", "films"],
)
def test_another_store_in_the_same_folder_is_refused(store, ids, changes):
    with pytest.raises(CheckpointError, match="choose another --out"):
        create_store(store.folder, ids, header(**changes))
    create_store(store.folder, IDS, header())  # the same one is welcome


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "thesis.txt").write_text("mine")
    with pytest.raises(CheckpointError, match=r"no store\.json"):
        create_store(tmp_path / "store", IDS, header())
    assert [path.name for path in tmp_path.rglob("*")] == ["store", "thesis.txt"]


def test_a_store_of_no_films_is_legal(tmp_path):
    create_store(tmp_path / "store", [], header(films=0))
    with RoiStore(tmp_path / "store") as opened:
        assert opened.image_ids() == []
        assert len(opened.status()) == 0


def edit(name, change):
    def apply(folder):
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(change(content)))

    return apply


def cut(name):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-7])


def objects(name):
    def apply(folder):
        np.save(
            folder / name, np.array([{}, {}, {}, {}], dtype=object), allow_pickle=True
        )  # unsafe-loading: planted

    return apply


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (edit("store.json", lambda c: {**c, "format_version": 2}), "format_version 1, got 2"),
        (edit("store.json", lambda c: {**c, "films": "4"}), "films '4'"),
        (edit("store.json", lambda c: {**c, "count": -1}), "count -1"),
        (edit("store.json", lambda c: {**c, "extra": 1}), "store header"),
        (edit("store.json", lambda c: [c]), "store header"),
        (edit("store.json", lambda c: {**c, "options": {"count": 0}}), "store header"),
        (
            edit("store.json", lambda c: {**c, "films": 5}),
            r"image_ids\.npy: expected an array \(5,\)",
        ),
        (edit("store.json", lambda c: {**c, "width": 4}), r"features\.npy: expected .*\(4, 5, 4\)"),
        (lambda folder: (folder / "store.json").write_bytes(b"{"), "store header"),
        (lambda folder: (folder / "scores.npy").unlink(), r"scores\.npy"),
        (cut("features.npy"), r"features\.npy"),
        (objects("counts.npy"), r"counts\.npy"),
        (objects("image_ids.npy"), r"image_ids\.npy"),
    ],
)
def test_a_damaged_store_is_refused(store, damage, told):
    damage(store.folder)
    with pytest.raises(CheckpointError, match=told):
        RoiStore(store.folder)


EPOCH = """
import resource, sys
import numpy as np
from pathlib import Path
from detector.roi_store import RoiStore
with RoiStore(Path(sys.argv[1])) as store:
    order = np.random.default_rng(0).permutation(len(store))
    assert len(store.image_ids()) == len(order)
    total = 0.0
    for start in range(0, len(order), 64):
        rows = order[start : start + 64]
        total += float(store.read(rows).features.sum() + store.read(rows, lowest=True).scores.sum())
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(status["VmHWM"].split()[0])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_an_epoch_over_20000_films_stays_under_a_gibibyte(tmp_path):
    films, count, width = 20_000, 100, 256
    big = header(films=films, count=count, width=width, options=ProposalOptions(count=count))
    create_store(tmp_path / "store", [f"film{k}" for k in range(films)], big)
    features = tmp_path / "store" / "features.npy"
    assert features.stat().st_size > 1_000_000_000
    assert features.stat().st_blocks * 512 < 1_000_000  # sparse: the test needs no disk
    done = subprocess.run(
        [sys.executable, "-c", EPOCH, str(tmp_path / "store")],
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)),
    )
    peak_mib = int(done.stdout) / 1024
    assert peak_mib < 1024, f"{peak_mib:.0f} MiB"
