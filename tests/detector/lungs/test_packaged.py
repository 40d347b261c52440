"""The lung network in the package: small, whole, right on phantom films, and refused if changed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from data_manifests.films.read_film import read_film
from data_manifests.phantom.case import PhantomOptions, make_case, plan_case, render_anatomy
from data_manifests.support.errors import CheckpointError
from detector.lungs.packaged import (
    DESCRIPTION,
    PACKAGED,
    WEIGHTS,
    check_golden_lungs,
    load_segmenter,
)

MAX_BYTES = 5_000_000
UNSEEN = 77  # a seed that no training used


@pytest.fixture(scope="module")
def segmenter():
    return load_segmenter()


def phantom(domain, index):
    options = PhantomOptions(size=256, domain=domain, seed=UNSEEN)
    body, _ = render_anatomy(options, index, plan_case(options, index))
    pixels = make_case(options, index).pixels.astype(np.float32) / np.float32(255)
    return pixels, [mask >= 0.5 for mask in body.lungs]


def test_weights_are_small_and_give_the_golden_labels():
    assert (PACKAGED / WEIGHTS).stat().st_size < MAX_BYTES
    check_golden_lungs()


@pytest.mark.parametrize("domain", ["A", "B"])
def test_lungs_of_phantom_films_are_found(segmenter, domain):
    for index in range(4):
        pixels, masks = phantom(domain, index)
        fields = segmenter.fields(pixels)
        for part, mask in enumerate(masks, start=1):
            found = fields.labels == part
            assert 2 * (found & mask).sum() / (found.sum() + mask.sum()) > 0.85


EXAMPLES = sorted((Path(__file__).parents[3] / "localize" / "examples").glob("*.jpg"))


@pytest.mark.parametrize("film", EXAMPLES, ids=lambda path: path.stem)
def test_a_real_film_is_found_upright_and_refused_upside_down(segmenter, film):
    pixels = read_film(film).pixels
    assert segmenter.fields(pixels).is_complete
    turned = segmenter.fields(np.ascontiguousarray(np.rot90(pixels, 2)))
    assert not turned.is_found
    assert "upside down" in turned.reason


def test_blank_picture_has_no_lungs(segmenter):
    fields = segmenter.fields(np.full((80, 60), 0.5, np.float32))
    assert (fields.is_found, fields.labels.shape) == (False, (80, 60))


def changed(tmp_path, name, content):
    folder = tmp_path / "weights"
    shutil.copytree(PACKAGED, folder)
    (folder / name).write_bytes(content)
    return folder


def test_changed_weights_are_refused(tmp_path):
    content = bytearray((PACKAGED / WEIGHTS).read_bytes())
    content[-1] ^= 1
    folder = changed(tmp_path, WEIGHTS, bytes(content))
    with pytest.raises(CheckpointError, match="checksum"):
        load_segmenter(folder)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", json.dumps({"format_version": 99}).encode()]
)
def test_damaged_description_is_refused(tmp_path, content):
    folder = changed(tmp_path, DESCRIPTION, content)
    with pytest.raises(CheckpointError, match=DESCRIPTION):
        load_segmenter(folder)


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="nowhere"):
        load_segmenter(tmp_path / "nowhere")
