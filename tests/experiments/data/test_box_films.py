"""All boxed films in one manifest: one split for each patient, negatives that are negative."""

from __future__ import annotations

import pandas as pd
import pytest

from data_manifests.support.atomic import write_text
from experiments.data.box_films import TEST_GROUPS, box_films, detector_films, is_unplaced

RSNA = "image,patient_id,view,width,height,rsna_class,nih_labels,nih_image"
RSNA_BOXES = "image,x1,y1,x2,y2,source"


def write_folder(folder, head, films, boxes_head=None, boxes=()):
    folder.mkdir(parents=True)
    write_text(folder / "metadata.csv", "\n".join([head, *films]) + "\n")
    if boxes_head is not None:
        write_text(folder / "boxes.csv", "\n".join([boxes_head, *boxes]) + "\n")


@pytest.fixture
def data(tmp_path):
    """A folder of films without pictures: the tables alone make the manifest."""
    films = [
        f"images/{name}.jpg,p{patient},PA,512,512,{kind},,{name}.png"
        for name, patient, kind in [
            ("f0", 0, "Lung Opacity"),
            ("f1", 1, "Normal"),
            ("f2", 2, "not in RSNA train"),
        ]
    ]
    write_folder(
        tmp_path / "rsna_nih_fullframe",
        RSNA,
        films,
        RSNA_BOXES,
        ["images/f0.jpg,10,10,100,200,rsna"],
    )
    more = [
        f"images/g{n}.jpg,p{n},PA,512,512,{kind},,g{n}.png"
        for n, kind in [(0, "Normal"), (3, "Lung Opacity"), (4, "Normal"), (5, "Normal")]
    ]
    write_folder(
        tmp_path / "rsna_fullframe_2",
        RSNA,
        [*more, "images/again.jpg,p1,PA,512,512,Normal,,f1.png"],
        RSNA_BOXES,
        ["images/g3.jpg,10,10,100,200,rsna"],
    )
    masked = [f"images/m{n}.jpg,p{n},PA,448,448,Lung Opacity,,m{n}.png" for n in (0, 1, 3, 4, 5, 6)]
    write_folder(
        tmp_path / "rsna_lungmasked",
        RSNA,
        masked,
        RSNA_BOXES + ",mask_coverage",
        [f"images/m{n}.jpg,10,10,100,200,rsna,0.9" for n in (0, 1, 3, 4, 5)]
        + ["images/m6.jpg,10,10,100,200,rsna,0.3"],
    )
    siim = [
        f"images/s{n}.jpg,q{n // 2},st{n},320,256,{status},true"
        for n, status in enumerate(["boxed", "negative study", "boxed", "unknown"] * 10)
    ]
    write_folder(
        tmp_path / "siim_covid19",
        "image,patient_id,study_id,width,height,box_status,aspect",
        siim,
        RSNA_BOXES,
        [f"images/s{n}.jpg,10,10,320.3,200,siim" for n in range(0, 40, 2)],
    )
    children = [
        f"images/c{n}.jpg,k{n},300,224,{label},true"
        for n, label in enumerate(["normal", "bacterial pneumonia", "viral pneumonia"] * 10)
    ]
    write_folder(
        tmp_path / "kermany_pediatric", "image,patient_id,width,height,label,aspect", children
    )
    return tmp_path


def labels_of(films):
    return films.labels.set_index("image_id")["opacity"].astype(float)


def test_no_patient_is_in_two_splits(data):
    films = box_films(data).images
    assert (films.groupby("patient_id")["split"].nunique() == 1).all()
    assert set(films["split"]) == {"train", "val", "test"}


def test_masked_films_are_for_training_and_only_of_patients_that_are_not_held_out(data):
    films = box_films(data).images
    masked = films[films["source"] == "rsna_lungmasked"]
    held_out = films[films["split"].isin(["val", "test"])]
    assert set(masked["split"]) <= {"train"}
    assert not set(masked["patient_id"]) & set(held_out["patient_id"])
    assert "masked-m6" not in set(masked["image_id"]), "the mask cut its box away"


def test_a_negative_is_a_film_known_to_have_no_opacity(data):
    films = box_films(data)
    label = labels_of(films)
    assert (label[[f"s{n}" for n in range(1, 40, 4)]] == 0).all()
    assert not set(label.index) & {f"s{n}" for n in range(3, 40, 4)}, "a study's unboxed film"
    assert "f2" not in label, "a film that RSNA did not read and NIH did not label"
    assert (label[[f"c{n}" for n in range(0, 30, 3)]] == 0).all()
    assert (label[[f"c{n}" for n in range(1, 30, 3)]] == 1).all()
    assert set(films.boxes["image_id"]) <= set(label[label == 1].index)


def test_a_film_of_both_rsna_folders_is_there_once(data):
    assert "again" not in set(box_films(data).images["image_id"])


def test_a_box_over_the_edge_of_its_film_is_cut(data):
    boxes = box_films(data).boxes
    assert boxes.loc[boxes["image_id"] == "s0", "x2"].astype(float).tolist() == [320.0]


@pytest.mark.parametrize("film_labels", [False, True])
def test_positive_films_without_a_box_only_train_with_film_labels(data, film_labels):
    films = box_films(data)
    kept = detector_films(films, film_labels=film_labels)
    unplaced = set(films.images.loc[is_unplaced(films), "image_id"])
    assert unplaced == {f"c{n}" for n in range(30) if n % 3}
    expected = films.images["image_id"].isin(unplaced) & (films.images["split"] == "train")
    left = unplaced & set(kept.images["image_id"])
    assert left == (set(films.images.loc[expected, "image_id"]) if film_labels else set())
    assert len(kept.images) == len(films.images) - len(unplaced) + len(left)


def test_no_patient_of_the_real_folders_is_in_two_splits(real_data):
    films = box_films(real_data)
    splits = films.images.groupby("patient_id")["split"].nunique()
    assert (splits == 1).all()
    boxed = films.images[films.images["image_id"].isin(set(films.boxes["image_id"]))]
    counts = pd.crosstab(boxed["source"], boxed["split"])
    for group in ("rsna", "siim"):
        own = counts.loc[[name for name in TEST_GROUPS[group] if name in counts.index]]
        assert (own.sum()[["val", "test"]] > 50).all()
