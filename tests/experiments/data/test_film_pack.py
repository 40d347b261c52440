"""A pack of films: the same films, boxes and labels come out, smaller where they were large."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data_manifests.films.read_film import read_film
from data_manifests.tables.manifest import make_manifest, read_manifest
from experiments.data.film_pack import OTHERS, UNPLACED, films_to_pack, pack_films, unpack_films
from tests.detector.films import make_films


@pytest.fixture
def films(tmp_path):
    (tmp_path / "films").mkdir()
    manifest = make_films(tmp_path / "films", size=(1280, 640), train=3, val=2)
    labels = pd.DataFrame({"image_id": manifest.images["image_id"], "opacity": 1.0})
    return make_manifest(manifest.images, manifest.boxes, None, labels, root=manifest.root)


def test_the_films_that_were_packed_come_out(films, tmp_path):
    pack_films(films, tmp_path / "pack", processes=1)
    found = unpack_films(tmp_path / "pack", tmp_path / "work", processes=1)
    assert found.images[["image_id", "patient_id", "split"]].equals(
        films.images[["image_id", "patient_id", "split"]]
    )
    assert (found.images["width"].astype(int) == OTHERS).all()
    scale = OTHERS / 1280
    corners = ["x1", "y1", "x2", "y2"]
    np.testing.assert_allclose(
        found.boxes[corners].astype(float), films.boxes[corners].astype(float) * scale
    )
    assert found.labels["opacity"].tolist() == films.labels["opacity"].tolist()
    for ours, theirs in zip(found.film_paths(), films.film_paths(), strict=True):
        small, large = read_film(ours).pixels, read_film(theirs).pixels
        assert small.shape == (OTHERS // 2, OTHERS)
        assert abs(small.mean() - large.mean()) < 0.02


def test_the_manifest_of_an_unpacked_folder_is_read_again(films, tmp_path):
    pack_films(films, tmp_path / "pack", processes=1)
    found = unpack_films(tmp_path / "pack", tmp_path / "work", processes=1)
    again = read_manifest(tmp_path / "work" / "manifest")
    assert again.images["image_id"].tolist() == found.images["image_id"].tolist()
    assert all(path.exists() for path in again.film_paths())


def test_test_films_stay_out_and_films_without_a_place_are_few():
    count = UNPLACED + 100
    names = [f"f{k}" for k in range(count + 3)]
    images = pd.DataFrame({"image_id": names, "patient_id": names, "path": names})
    images["split"] = ["test", "val", "train"] + ["train"] * count
    images["study_id"] = names
    labels = pd.DataFrame({"image_id": names, "opacity": [1, 1, 0] + [1] * count})
    packed = films_to_pack(make_manifest(images, None, None, labels))
    assert set(names[:3]) & set(packed.images["image_id"]) == {"f1", "f2"}
    assert len(packed.images) == UNPLACED + 2
