"""Boxes on masked films: overlap of pixels against a slow count, and rows that larger boxes win."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from data_manifests.tables.manifest import ManifestInfo, make_manifest
from experiments.core.covid_boxes import CovidBoxes
from experiments.data.masked_films import MaskedFilms
from experiments.methods.box_prediction import scored_film
from experiments.tables import covid
from experiments.tables.pages import rewrite_pages

SIDE = 40
LESION = np.array([[10.0, 12, 20, 30]])
LUNG = np.array([[4.0, 4, 30, 36]])


def test_pixel_overlap_equals_a_count_of_pixels_one_by_one():
    random = np.random.default_rng(0)
    mask = random.random((SIDE, SIDE)) < 0.2
    corners = np.sort(random.integers(0, SIDE + 1, (3, 2, 2)), axis=1).reshape(3, 4)
    corners[:, 2:] += 1
    covered = [
        any(x1 <= x < x2 and y1 <= y < y2 for x1, y1, x2, y2 in corners)
        for y in range(SIDE)
        for x in range(SIDE)
    ]
    both = sum(c and m for c, m in zip(covered, mask.ravel(), strict=True))
    area, true = sum(covered), int(mask.sum())
    assert covid.pixel_overlap(corners.astype(float), mask) == pytest.approx(
        (2 * both / (area + true), area / SIDE**2, both / area, both / true)
    )


def test_a_film_without_boxes_overlaps_nothing():
    overlap = covid.pixel_overlap(np.zeros((0, 4)), np.ones((SIDE, SIDE), bool))
    assert overlap == (0, 0, 0, 0)


@pytest.fixture(scope="module")
def masked():
    names = [f"film-{k}" for k in range(6)]
    images = pd.DataFrame(
        {
            "image_id": names,
            "patient_id": [f"p{k // 2}" for k in range(6)],
            "study_id": names,
            "path": names,
            "width": SIDE,
            "height": SIDE,
        }
    )
    mask = np.zeros((SIDE, SIDE), bool)
    mask[12:30, 10:20] = True
    info = ManifestInfo(builder="test", image_root=".")
    return MaskedFilms(
        make_manifest(images, None, None, None, info=info),
        (mask,) * 6,
        (LESION,) * 6,
        (LUNG,) * 6,
        (LUNG,) * 6,
    )


@pytest.fixture(scope="module")
def found(masked):
    def films(xyxy):
        scores = np.full(len(xyxy), 0.5)
        ids = masked.films.images["image_id"]
        return [scored_film(one, SIDE, SIDE, xyxy, scores) for one in ids]

    large = {name for name in covid.MEANINGS if "size_prior" in name} | {"lung_boxes"}
    boxes = {name: LUNG if name in large else LESION for name in covid.MEANINGS}
    return CovidBoxes({name: films(one) for name, one in boxes.items()}, {}, {"open_2": 0.5})


def test_larger_boxes_win_the_convention_of_lungs_and_lose_lesions_and_precision(masked, found):
    table = covid.covid_table(masked, found)
    assert (table.films, table.patients) == (6, 3)
    tight, large = table.rows["open_2"], table.rows["open_2_size_prior"]
    assert [one["lesion_iou_at_0.5"].value for one in (tight, large)] == [1, 0]
    assert [one["lung_iou_at_0.5"].value for one in (tight, large)] == [0, 1]
    assert tight["dice"].value == tight["precision"].value == 1
    assert large["recall"].value == 1
    assert large["precision"].value == pytest.approx(180 / (26 * 32))
    difference = table.differences["open_2", "open_2_size_prior"]["area"]
    assert difference.value == pytest.approx((180 - 26 * 32) / SIDE**2)
    assert difference.low == pytest.approx(difference.value)  # the same on every film


def test_the_page_is_written_again_from_its_json(masked, found, tmp_path):
    (tmp_path / "covid_chestxray").mkdir()
    for name in ("metadata.csv", "boxes.csv"):
        (tmp_path / "covid_chestxray" / name).write_text("image\n")
    table = covid.covid_table(masked, found)
    page = covid.write_covid(table, masked, found, tmp_path, tmp_path, "command")
    content = json.loads((tmp_path / "covid-boxes.json").read_text())
    assert {row["method"] for row in content["rows"]} == set(covid.MEANINGS)
    assert "| open_2 | open_2_size_prior |" in page
    assert rewrite_pages([tmp_path / "covid-boxes.json"]) == [tmp_path / "covid-boxes.md"]
    assert (tmp_path / "covid-boxes.md").read_text() == page
