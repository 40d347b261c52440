"""The folder that `build_phantom` writes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from data_manifests.films.read_film import read_film
from data_manifests.phantom.case import PhantomOptions, make_case
from data_manifests.phantom.generate import SplitShares, build_phantom, encode_png
from data_manifests.phantom.truth import KEYWORDS
from data_manifests.support.errors import ConfigError
from data_manifests.tables.manifest import Manifest, read_manifest

OPTIONS = PhantomOptions(size=64, domain="B", shift=0.5, seed=3)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """Twenty-four small films."""
    folder = tmp_path_factory.mktemp("phantom")
    return folder, build_phantom(folder, OPTIONS, films=24)


def digests(folder: Path) -> dict[str, str]:
    """Name and SHA-256 of every file."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_what_is_written_is_read_back(built: tuple[Path, Manifest]) -> None:
    folder, manifest = built
    again = read_manifest(folder)
    pd.testing.assert_frame_equal(again.images, manifest.images)
    pd.testing.assert_frame_equal(again.boxes, manifest.boxes)
    pd.testing.assert_frame_equal(again.reports, manifest.reports)
    pd.testing.assert_frame_equal(again.labels, manifest.labels, check_dtype=False)
    assert again.info.builder == "phantom"
    assert again.info.options["shift"] == 0.5


def test_films_are_the_pixels_of_their_cases(built: tuple[Path, Manifest]) -> None:
    _, manifest = built
    for index, path in enumerate(manifest.film_paths()[:5]):
        with Image.open(path) as film:
            assert np.array_equal(np.asarray(film), make_case(OPTIONS, index).pixels)
        assert hashlib.sha256(path.read_bytes()).hexdigest() == manifest.images["sha256"][index]


def test_sixteen_bit_films_are_read_at_full_depth(tmp_path: Path) -> None:
    options = PhantomOptions(size=64, bits=16)
    pixels = make_case(options, 0).pixels
    (tmp_path / "film.png").write_bytes(encode_png(pixels))
    assert np.allclose(read_film(tmp_path / "film.png").pixels, pixels / 65535.0, atol=2e-5)


def test_a_later_part_of_the_series_has_the_same_films(
    built: tuple[Path, Manifest], tmp_path: Path
) -> None:
    folder, manifest = built
    part = build_phantom(tmp_path, OPTIONS, films=5, start=7)
    ours, theirs = digests(tmp_path), digests(folder)
    films = [name for name in ours if name.endswith(".png")]
    assert len(films) == 5
    assert all(ours[name] == theirs[name] for name in films)
    rows = manifest.images.iloc[7:12].reset_index(drop=True)
    pd.testing.assert_frame_equal(part.images, rows)


@pytest.mark.slow
def test_the_number_of_workers_changes_nothing(
    built: tuple[Path, Manifest], tmp_path: Path
) -> None:
    build_phantom(tmp_path, OPTIONS, films=24, workers=2)
    assert digests(tmp_path) == digests(built[0])


def test_patients_stay_in_one_split(built: tuple[Path, Manifest]) -> None:
    _, manifest = built
    assert manifest.images.groupby("patient_id")["split"].nunique().max() == 1
    assert manifest.images["patient_id"].nunique() < len(manifest.images)


def test_split_shares_cut_the_unit_interval() -> None:
    shares = SplitShares(val=0.1, test=0.2)
    names = [shares.name(number) for number in (0.0, 0.19, 0.2, 0.29, 0.31, 0.99)]
    assert names == ["test", "test", "val", "val", "train", "train"]
    with pytest.raises(ConfigError, match="split"):
        SplitShares(val=0.7, test=0.4)


def test_labels_agree_with_boxes_and_reports(built: tuple[Path, Manifest]) -> None:
    _, manifest = built
    labels = manifest.labels.set_index("image_id")
    boxed = set(manifest.boxes["image_id"])
    assert boxed == set(labels.index[labels["pneumonia"] == 1])
    assert set(manifest.boxes["label"]) == {"opacity"}
    assert labels.loc[labels["pneumonia"] == 0, "severity"].eq(0).all()
    for word in KEYWORDS:
        assert (labels[f"said_{word}"] <= labels[f"kw_{word}"]).all()
    assert set(manifest.reports["study_id"]) == set(manifest.images["study_id"])
    assert set(manifest.reports["section"]) <= {"indication", "findings", "impression"}


def test_manifests_of_two_hospitals_and_seeds_can_be_joined(tmp_path: Path) -> None:
    ids: list[str] = []
    for domain, seed in (("A", 0), ("B", 0), ("A", 1)):
        options = PhantomOptions(size=64, domain=domain, seed=seed)
        manifest = build_phantom(tmp_path / f"{domain}{seed}", options, films=2)
        ids += [*manifest.images["image_id"], *manifest.images["patient_id"].unique()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(("films", "start", "workers"), [(0, 0, 1), (1, -1, 1), (1, 0, 0)])
def test_impossible_amounts_are_refused(
    films: int, start: int, workers: int, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="films"):
        build_phantom(tmp_path, OPTIONS, films=films, start=start, workers=workers)
    assert not list(tmp_path.iterdir())
