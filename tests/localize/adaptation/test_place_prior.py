"""`PlacePrior`: boxes of the old hospital that imply what a report says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from data_manifests.tables.manifest import ManifestInfo, make_manifest
from localize.adaptation.place_prior import fit_place_prior
from localize.adaptation.place_words import PlaceWords, implied_words, mirrored

SIZE = 200


@pytest.fixture(scope="module")
def boxed():
    """400 boxes of all zones, central and peripheral, small and large, one a film."""
    random = np.random.default_rng(1)
    centre = np.stack([random.uniform(0.6, 0.85, 400), random.uniform(0.2, 0.7, 400)], axis=1)
    half = np.stack([random.uniform(0.05, 0.14, 400), random.uniform(0.05, 0.2, 400)], axis=1)
    boxes = np.hstack([centre - half, centre + half]) * SIZE
    names = [f"film-{k}" for k in range(400)]
    images = pd.DataFrame(
        {
            "image_id": names,
            "patient_id": names,
            "study_id": names,
            "path": names,
            "width": SIZE,
            "height": SIZE,
        }
    )
    table = pd.DataFrame(boxes, columns=["x1", "y1", "x2", "y2"]).assign(
        image_id=names, label="opacity", annotator="reader"
    )
    return make_manifest(images, table, None, None, info=ManifestInfo(builder="test"))


def implied(boxed):
    shares = boxed.boxes[["x1", "y1", "x2", "y2"]].to_numpy() / SIZE
    return shares, [implied_words(box) for box in shares]


def test_words_give_the_mean_of_the_boxes_that_imply_them(boxed):
    shares, words = implied(boxed)
    prior = fit_place_prior(boxed, [])
    for asked in (
        PlaceWords("left", ("middle", "lower")),
        PlaceWords("right", ("lower",), depth="peripheral"),
        PlaceWords("left", extent="large"),
    ):
        chosen = [
            box
            for box, one in zip(shares, words, strict=True)
            if (not asked.zones or one.zones == asked.zones)
            and (not asked.depth or one.depth == asked.depth)
            and (not asked.extent or one.extent == asked.extent)
        ]
        expected = mirrored(np.array(chosen)).mean(axis=0)
        np.testing.assert_allclose(prior.given(asked).mean, expected)


def test_a_box_fits_the_words_that_it_implies_better_than_others(boxed):
    prior = fit_place_prior(boxed, [])
    upper, lower = (prior.given(PlaceWords("left", zones)) for zones in (("upper",), ("lower",)))
    box = np.array([[0.12, 0.55, 0.28, 0.72]])
    assert lower.log_density(box) > upper.log_density(box) + 2


def test_what_the_reports_say_often_weighs_more(boxed):
    _, words = implied(boxed)
    said = [PlaceWords("left", ("lower",))] * 30 + [PlaceWords("left", ("upper",))] * 10
    said += [PlaceWords("left", depth="peripheral")] * 9 + [PlaceWords("left", depth="central")] * 3
    prior = fit_place_prior(boxed, said)

    def weight(name, value):
        return sum(
            share
            for share, one in zip(prior.weights, words, strict=True)
            if getattr(one, name) == value
        )

    assert weight("depth", "peripheral") / weight("depth", "central") == pytest.approx(3, rel=1e-3)
    assert weight("zones", ("lower",)) / weight("zones", ("upper",)) == pytest.approx(3, rel=0.05)
    assert prior.weights.mean() == pytest.approx(1)


def test_words_that_too_few_boxes_imply_are_not_used(boxed):
    prior = fit_place_prior(boxed, [])
    impossible = PlaceWords("left", ("upper", "lower"))  # no box skips the middle
    np.testing.assert_allclose(prior.given(impossible).mean, prior.given(PlaceWords("left")).mean)
