"""Damaged, nested, huge and hostile structured reports: each is read or refused by name."""

from __future__ import annotations

import os
import time
import warnings
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian

from data_manifests.support.errors import DataError
from localize.formats.dicom.sr import MAX_BYTES, read_dicom_sr
from localize.formats.export import export
from localize.formats.hub.format_options import FormatOptions
from tests.localize.formats.dicom_films import write_dicom_film
from tests.localize.formats.films import make_annotations, make_film
from tests.localize.formats.test_hostile_annotations import damaged

pytest.importorskip("highdicom")
pytestmark = pytest.mark.faults
CHANGES = int(os.environ.get("PNEUMOLOC_FUZZ", "40"))  # `make fuzz` sets more
VALUES = (None, "", "x", "1\\2", "9" * 70, -1, 1e30, b"\xff\xfe\x00")


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sr")
    film = make_film("a.dcm", ((10.0, 20.0, 110.0, 220.0), (200.0, 300.0, 400.5, 500.25)))
    write_dicom_film(
        folder / "films" / film.name, uid="1.2.3.4", width=film.width, height=film.height
    )
    options = FormatOptions(image_root=folder / "films")
    export(make_annotations(film), "dicom-sr", folder / "out", options=options, has_sidecar=False)
    return folder / "out" / "a.dcm"


def refused(path: Path) -> bool:
    """Whether a report was refused, with its name and no more words than a person reads."""
    try:
        read_dicom_sr(path)
    except DataError as error:
        message = str(error)
    else:
        return False
    assert message.startswith("r.dcm")
    assert "expected" in message
    assert len(message) < 2_000
    return True


def elements(dataset: Dataset) -> list[tuple[Dataset, pydicom.DataElement]]:
    """All elements at all depths, with the dataset that holds each."""
    found = []
    for one in dataset:
        found.append((dataset, one))
        if one.VR == "SQ":
            found += [pair for item in one.value for pair in elements(item)]
    return found


def test_flipped_bytes(report, tmp_path):
    content, path = report.read_bytes(), tmp_path / "r.dcm"
    rng = np.random.default_rng(0)
    count = 0
    for _ in range(CHANGES):
        path.write_bytes(damaged(content, rng))
        count += refused(path)
    assert count


def test_changed_elements(report, tmp_path):
    path = tmp_path / "r.dcm"
    rng = np.random.default_rng(1)
    count = 0
    for number in range(CHANGES):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(report)
            pairs = elements(dataset)
            holder, one = pairs[int(rng.integers(len(pairs)))]
            try:
                if number % 3 == 0:
                    del holder[one.tag]
                elif one.VR == "SQ":
                    one.value = Sequence([*one.value, *one.value] if number % 2 else [])
                else:
                    one.value = VALUES[int(rng.integers(len(VALUES)))]
                dataset.save_as(path)
            except Exception:  # noqa: S112 - pydicom does not take every value
                continue
        count += refused(path)
    assert count


def test_sequences_nested_a_thousand_times(report, tmp_path):
    dataset = pydicom.dcmread(report)
    path = tmp_path / "r.dcm"
    dataset.ContentSequence = []
    dataset.save_as(path)
    # One item of undefined length in the other; the file ends in the middle of them.
    head = b"\x40\x00\x30\xa7SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    path.write_bytes(path.read_bytes() + head * 100_000)
    start = time.process_time()
    assert refused(path)
    assert time.process_time() - start < 10


def test_a_huge_file_is_not_read(report, tmp_path):
    path = tmp_path / "r.dcm"
    path.write_bytes(report.read_bytes())
    os.truncate(path, MAX_BYTES + 1)
    with pytest.raises(DataError, match="at most 4 MiB"):
        read_dicom_sr(path)


def test_a_deflated_bomb_is_not_kept(report, tmp_path):
    path = tmp_path / "r.dcm"
    dataset = pydicom.dcmread(report)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(path)
    whole = path.read_bytes()
    meta = 144 + int(read_file_meta_info(path).FileMetaInformationGroupLength)
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(256)) + packer.flush()
    path.write_bytes(whole[:meta] + packed)
    with pytest.raises(DataError, match="decompression bomb"):
        read_dicom_sr(path)


def test_a_film_is_no_report(report):
    with pytest.raises(DataError, match=r"Modality: expected SR, got DX"):
        read_dicom_sr(report.parents[1] / "films" / "a.dcm")
