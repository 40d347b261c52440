"""Films that changed, and pictures that are no films: refused, with what was expected."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from data_manifests.films.read_film import check_sha256, film_size, read_film
from data_manifests.support.atomic import file_sha256
from data_manifests.support.errors import DataError
from localize.inference.pictures import film_of_picture
from tests.data_manifests.film_files import ramp, write_dicom

pytestmark = pytest.mark.faults
FLIPS = 200


@pytest.mark.parametrize("kind", ["png", "jpg", "dcm"])
def test_a_flipped_byte_is_refused_where_the_manifest_has_a_checksum(tmp_path, kind, measured):
    path = tmp_path / f"film.{kind}"
    if kind == "dcm":
        write_dicom(path, ramp(96, 96))
    else:
        levels = np.random.default_rng(0).integers(0, 255, (96, 96), dtype=np.uint8)
        Image.fromarray(levels).save(path)
    content, declared = path.read_bytes(), file_sha256(path)
    check_sha256(path, declared)
    random = np.random.default_rng(1)
    unnoticed = changed = 0
    expected = read_film(path).pixels
    for place in random.integers(0, len(content), FLIPS):
        flipped = bytearray(content)
        flipped[place] ^= 1 << random.integers(8)
        path.write_bytes(flipped)
        with pytest.raises(DataError, match="sha256"):
            check_sha256(path, declared)
        try:
            changed += not np.array_equal(read_film(path).pixels, expected)
        except DataError:
            pass
        else:
            unnoticed += 1
    measured(f"{kind}: {FLIPS} of {FLIPS} refused; without a checksum {changed} are read otherwise")
    # PNG has checksums of its own, DICOM has none.
    assert changed > 0 if kind == "dcm" else unnoticed >= changed


ODD = {
    "levels of 0 to 255 as float": (np.full((64, 64), 200.0), "0 to 1"),
    "not a number": (np.full((64, 64), np.nan), "0 to 1"),
    "four channels": (np.zeros((64, 64, 4), np.uint8), r"shape: expected \(H, W\)"),
    "64-bit integers": (np.zeros((64, 64), np.int64), "expected"),
    "one pixel": (np.zeros((1, 1), np.uint8), "at least 1,024 pixels"),
    "a strip": (np.zeros((50, 10_000), np.uint8), "ratio of at most 10, got 10000 x 50"),
}


@pytest.mark.parametrize("name", ODD)
def test_a_picture_that_is_no_film_is_refused_with_what_was_expected(name):
    levels, reason = ODD[name]
    with pytest.raises(DataError, match=reason):
        film_of_picture(levels)


@pytest.mark.parametrize("size", [(10_000, 50), (50, 10_000)])
@pytest.mark.parametrize("read", [read_film, film_size])
def test_a_strip_is_refused_before_it_is_decoded(tmp_path, size, read):
    Image.new("L", size).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: expected sides in a ratio of at most 10, got"):
        read(tmp_path / "a.png")
