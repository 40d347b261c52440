"""Splits: whole patients, right shares, the same every time."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_manifests.support.errors import ConfigError, DataError
from data_manifests.tables.manifest import Manifest, make_manifest
from data_manifests.tables.split import (
    SPLIT_NAMES,
    _whole_counts,
    split_around,
    split_around_nih_pneumonia,
    split_manifest,
)
from tests.data_manifests.example_tables import boxes_table, images_table, small_manifest


def labelled(count: int = 200, films_per_patient: int = 2) -> Manifest:
    images = images_table(count, films_per_patient)
    images["view"] = ["PA" if index % 3 else "AP" for index in range(count)]
    labels = pd.DataFrame(
        {
            "image_id": images["image_id"],
            "pneumonia": [("", "0", "1")[index % 3] for index in range(count)],
            "severity": [str(index % 17 / 2) for index in range(count)],
        }
    )
    return make_manifest(images, boxes_table(images["image_id"].iloc[::5].to_list()), None, labels)


def by_film(manifest: Manifest) -> dict[str, str]:
    return dict(zip(manifest.images["image_id"], manifest.images["split"], strict=True))


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=40),
    st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(1, 5)),
    st.integers(0, 5),
)
def test_no_patient_or_study_is_ever_in_two_splits(
    films: list[int], parts: tuple[int, int, int], seed: int
) -> None:
    patients = [f"p{number}" for number, count in enumerate(films) for _ in range(count)]
    images = images_table(len(patients)).assign(patient_id=patients)
    shares = dict(zip(("train", "val", "test"), np.array(parts) / sum(parts), strict=True))
    result = split_manifest(make_manifest(images), shares, ["has_box"], seed).images
    assert (result.groupby("patient_id")["split"].nunique() == 1).all()
    assert (result.groupby("study_id")["split"].nunique() == 1).all()
    counts = result.drop_duplicates("patient_id")["split"].value_counts()
    for name, share in shares.items():
        assert abs(counts.get(name, 0) - share * len(films)) <= 1
    assert "" not in counts


def test_the_split_does_not_depend_on_the_order_of_rows() -> None:
    manifest = labelled()
    shuffled = manifest.images.sample(frac=1, random_state=3).reset_index(drop=True)
    other = make_manifest(shuffled, manifest.boxes.iloc[::-1], None, manifest.labels.iloc[::-1])
    assert by_film(split_manifest(manifest)) == by_film(split_manifest(other))


def test_the_split_is_that_of_the_release() -> None:
    result = by_film(split_manifest(small_manifest(6), {"train": 0.5, "test": 0.5}, ["has_box"]))
    assert result == {
        "f0": "test",
        "f1": "test",
        "f2": "train",
        "f3": "train",
        "f4": "test",
        "f5": "train",
    }


def test_another_seed_gives_another_split() -> None:
    manifest = labelled()
    assert by_film(split_manifest(manifest)) != by_film(split_manifest(manifest, seed=1))


@pytest.mark.parametrize("stratum", ["has_box", "pneumonia", "view", "severity"])
def test_every_stratum_has_the_shares_of_the_whole(stratum: str) -> None:
    manifest = labelled(600)
    result = split_manifest(manifest, stratify_by=[stratum])
    images = result.images.merge(result.labels, on="image_id")
    images["has_box"] = images["image_id"].isin(set(result.boxes["image_id"]))
    values = images.fillna({"pneumonia": -1}).groupby("patient_id")[stratum]
    level = values.max() if stratum != "view" else values.agg(lambda views: views.mode()[0])
    if stratum == "severity":
        level = pd.Series(
            np.searchsorted(level.quantile([0.25, 0.5, 0.75]).to_numpy(), level), level.index
        )
    split = images.drop_duplicates("patient_id").set_index("patient_id")["split"]
    table = pd.crosstab(level, split)
    expected = table.sum(axis=1).to_numpy()[:, None] * np.array([[0.15, 0.7, 0.15]])
    assert np.abs(table[["test", "train", "val"]].to_numpy() - expected).max() <= 1.5


def test_patients_of_unknown_label_are_split_too() -> None:
    images = images_table(30)
    labels = pd.DataFrame({"image_id": images["image_id"], "pneumonia": [""] * 29 + ["1"]})
    result = split_manifest(make_manifest(images, labels=labels))
    assert set(result.images["split"]) == {"train", "val", "test"}


def test_existing_splits_are_kept_and_filled_up() -> None:
    manifest = labelled()
    images = manifest.images.assign(split="")
    images.loc[images["patient_id"].isin(["p0", "p1", "p2"]), "split"] = "test"
    images.loc[1, "split"] = ""  # the other film of p0
    result = split_manifest(make_manifest(images, manifest.boxes), keep_existing=True)
    split = result.images.drop_duplicates("patient_id").set_index("patient_id")["split"]
    assert (split[["p0", "p1", "p2"]] == "test").all()
    assert (result.images.groupby("patient_id")["split"].nunique() == 1).all()
    assert split.value_counts().to_dict() == {"train": 70, "val": 15, "test": 15}


def test_a_patient_in_two_splits_cannot_be_kept() -> None:
    images = images_table(4, 2, splits=("train", "test"))
    with pytest.raises(DataError) as caught:
        split_manifest(make_manifest(images), keep_existing=True)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    "fractions",
    [{"train": 0.5}, {"train": 1.2, "test": -0.2}, {"dev": 1.0}, {"train": float("nan")}],
)
def test_bad_fractions_are_refused(fractions: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="sum to 1"):
        split_manifest(small_manifest(), fractions)


def test_an_unknown_stratum_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ConfigError, match="severity"):
        split_manifest(labelled(), stratify_by=["colour"])


def test_splitting_around_another_manifest_frees_its_test() -> None:
    reference = make_manifest(images_table(4, splits=("train", "val", "test", "")))
    result = by_film(split_around(small_manifest(6), reference))
    assert result == {
        "f0": "train",
        "f1": "",
        "f2": "",
        "f3": "train",
        "f4": "train",
        "f5": "train",
    }
    with pytest.raises(DataError, match="val or test"):
        split_around(small_manifest(), small_manifest())
    with pytest.raises(DataError, match="not held out"):
        split_around(small_manifest(), make_manifest(images_table(4, splits=("test",))))


def test_the_leak_free_split_holds_out_the_patients_of_nih_pneumonia_boxes() -> None:
    images = images_table(3).assign(
        image_id=["00013118_000", "00000001_000", "000fe35a-2649-43d4-b027-e67796d412e0"],
        patient_id=["00001373", "00000001", "000fe35a-2649-43d4-b027-e67796d412e0"],
    )
    from data_manifests.tables.nih_rsna_overlap import nih_pneumonia_films

    images.loc[0, "patient_id"] = nih_pneumonia_films()["patient_id"][0]
    result = split_around_nih_pneumonia(make_manifest(images)).images["split"]
    assert result.to_list() == ["", "train", ""]


def split_by_loops(images: pd.DataFrame, shares: list[float], seed: int) -> dict[str, str]:
    """A split stratified by view: patient by patient, with dictionaries."""
    views: dict[str, list[str]] = {}
    for patient, view in zip(images["patient_id"], images["view"], strict=True):
        views.setdefault(patient, []).append(view)
    strata: dict[str, list[str]] = {}
    for patient, seen in views.items():
        most = max(map(seen.count, seen))
        strata.setdefault(min(v for v in seen if seen.count(v) == most), []).append(patient)
    split, carry = {}, np.zeros(3)
    for name in sorted(strata):
        members = sorted(strata[name], key=lambda p: sha256(f"{seed}:{p}".encode()).digest())
        wanted = np.array(shares) * len(members) + carry
        counts = _whole_counts(wanted, len(members), np.array(shares))
        carry = wanted - counts
        splits = [part for part, k in zip(SPLIT_NAMES, counts, strict=True) for _ in range(k)]
        split.update(zip(members, splits, strict=True))
    return split


@pytest.mark.parametrize("seed", range(5))
def test_a_stratified_split_is_that_of_slow_loops(seed: int) -> None:
    random = np.random.default_rng(seed)
    ids = ["p1", "P1", "p10", "p2", "\u00e9", "\U0001f600", "\uffee", "a b", *map(str, range(30))]
    images = images_table(90)
    images["patient_id"] = random.choice(ids, 90)
    images["view"] = random.choice(["PA", "AP", ""], 90)
    shares = dict(zip(SPLIT_NAMES, (0.5, 0.2, 0.3), strict=True))
    result = split_manifest(make_manifest(images), shares, ["view"], seed).images
    expected = split_by_loops(images, list(shares.values()), seed)
    assert result["split"].tolist() == [expected[patient] for patient in images["patient_id"]]
