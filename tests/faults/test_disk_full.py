"""A full disk: the old file stays, nothing half-written is left, the error is an OSError."""

from __future__ import annotations

import contextlib
import os
import resource

import numpy as np
import pandas as pd
import pytest
import torch

from data_manifests.phantom.generate import encode_png
from data_manifests.support.atomic import write_bytes, write_json, write_text
from data_manifests.support.csv_file import write_csv
from data_manifests.tables.table_file import write_table
from detector.proposals import FilmRois, ProposalOptions, Rois
from detector.roi_store import RoiStore, StoreHeader, create_store
from detector.run.run_state import write_network
from detector.run.training_run import TrainingRun
from tests.detector.films import make_detector

pytestmark = pytest.mark.faults


@contextlib.contextmanager
def disk_of(size: int):
    """No file of this process grows beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


NOISE = np.random.default_rng(0).integers(0, 255, (400, 400), np.uint8)
WRITERS = {
    "bytes": lambda path: write_bytes(path, b"x" * 100_000),
    "json": lambda path: write_json(path, ["x" * 100_000]),
    "csv": lambda path: write_csv(path, pd.DataFrame({"a": np.arange(50_000)})),
    "parquet": lambda path: write_table(
        pd.DataFrame({"image_id": [f"film-{n * 7919}" for n in range(100_001)]}),
        path.parent,
        "images",
    ),
    "png": lambda path: write_bytes(path, encode_png(NOISE)),
    "html": lambda path: write_text(path, "<p>film</p>" * 10_000),
    "checkpoint": lambda path: TrainingRun(path.parent).save_checkpoint({"w": torch.rand(50_000)}),
    "weights": lambda path: write_network(make_detector(), path.parent / "detector", {}),
}
NAMES = {
    "parquet": "images.parquet",
    "checkpoint": "checkpoint.pt",
    "weights": "detector.safetensors",
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("size", [0, 1000, 60_000])
def test_the_old_file_stays_and_nothing_else(tmp_path, writer, size):
    path = tmp_path / NAMES.get(writer, "file.txt")
    path.write_bytes(b"old")
    with disk_of(size), pytest.raises(OSError, match=path.name):
        WRITERS[writer](path)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == [path.name]
    WRITERS[writer](path)  # with room it works
    assert path.read_bytes() != b"old"


def rois(count, width, value):
    box = torch.tensor([[1.0, 2.0, 30.0, 40.0]]).repeat(count, 1)
    part = Rois(torch.full((count, width), value), box, torch.full((count,), 0.5))
    return FilmRois(part, part)


HEADER = StoreHeader(4, 50, 64, "d" * 64, ProposalOptions(count=50))


@pytest.mark.parametrize("size", [0, 200, 5000])
def test_a_store_that_does_not_fit_is_not_begun(tmp_path, size):
    with disk_of(size), pytest.raises(OSError, match=r"."):
        create_store(tmp_path / "store", list("abcd"), HEADER)
    assert os.listdir(tmp_path) == []
    create_store(tmp_path / "store", list("abcd"), HEADER)


def test_a_row_that_is_cut_short_stays_to_be_done(tmp_path):
    create_store(tmp_path / "store", list("abcd"), HEADER)
    row_bytes = 50 * 64 * 2
    with RoiStore(tmp_path / "store", writable=True) as store:
        store.write(0, rois(50, 64, 1.0), 64, 64, (1.0, 1.0))
        # Half of row 1 fits: the system writes that part without an error.
        with disk_of(128 + row_bytes + row_bytes // 2), pytest.raises(OSError, match=r"."):
            store.write(1, rois(50, 64, 2.0), 64, 64, (1.0, 1.0))
        assert store.status().tolist() == [1, 0, 0, 0]
        assert (store.read(np.array([0])).features == 1).all()
        store.write(1, rois(50, 64, 2.0), 64, 64, (1.0, 1.0))
        assert (store.read(np.array([1])).features == 2).all()


@pytest.mark.timeout(300)
def test_a_training_on_a_full_disk_is_one_line_and_exit_code_1(zygote, tmp_path):
    from tests.detector.films import make_films, train_command

    make_films(tmp_path / "m")
    out, log = tmp_path / "run", tmp_path / "log"
    code = zygote.run(train_command(tmp_path / "m", out), log, TEST_FILE_LIMIT="1000000")
    assert code == 1
    # A progress bar may share the line, or be redrawn after it.
    told = [line for line in log.read_text().splitlines() if "error: " in line]
    assert len(told) == 1
    assert "checkpoint.pt" in told[0]
    assert "Traceback" not in log.read_text()
    assert not any(".tmp" in name for name in os.listdir(out))
