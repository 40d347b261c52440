"""`predict_films`: the written contract, bad films, and that order and batches do not matter."""

from __future__ import annotations

import dataclasses
import struct
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from data_manifests.support.errors import ConfigError, DataError
from detector.proposals import ProposalOptions
from localize.bundle.bundle import load_bundle
from localize.inference.film_list import film_list
from localize.inference.model import Model
from localize.inference.options import PredictOptions
from localize.inference.predict_films import predict_films
from localize.prediction.tables import BOX_COLUMNS, IMAGE_COLUMNS, read_prediction, write_prediction
from localize.severity.fit import feature_table
from tests.localize.models import (
    BUNDLE_KEYWORDS,
    CPU,
    tiny_severity,
    write_films,
    write_tiny_bundle,
)

SIZES = [(96, 96), (200, 120), (60, 150), (96, 96), (200, 120), (160, 17)]
OPTIONS = PredictOptions(proposals=ProposalOptions(count=20))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    return load_bundle(write_tiny_bundle(folder, severity=tiny_severity()))


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    return write_films(tmp_path_factory.mktemp("films"), SIZES)


@pytest.fixture(scope="module")
def prediction(bundle, films):
    return predict(bundle, films)


def options(**changes) -> PredictOptions:
    return dataclasses.replace(OPTIONS, **changes)


def predict(bundle, paths, **changes):
    return predict_films(bundle, film_list(paths), options(**changes), CPU)


def test_the_tables_have_the_columns_of_the_contract(prediction):
    assert tuple(prediction.images.columns) == IMAGE_COLUMNS
    assert tuple(prediction.boxes.columns) == BOX_COLUMNS
    assert tuple(prediction.attributes.columns) == ("image_id", *BUNDLE_KEYWORDS)
    assert prediction.images["image_id"].tolist() == [f"film{n}" for n in range(len(SIZES))]
    assert prediction.attributes["image_id"].tolist() == prediction.images["image_id"].tolist()
    assert (prediction.images["status"] == "ok").all()
    assert prediction.info.keys() >= {"bundle_id", "files", "options", "provenance", "severity"}
    assert "time_utc" in prediction.info["provenance"]


def test_boxes_lie_inside_their_film_best_first(prediction):
    assert prediction.images[["width", "height"]].to_numpy().tolist() == [list(s) for s in SIZES]
    for (image_id, boxes), (width, height) in zip(
        prediction.boxes.groupby("image_id", sort=False), SIZES, strict=True
    ):
        assert 1 <= len(boxes) <= 10, image_id
        assert boxes[["x1", "y1"]].to_numpy().min() >= 0
        assert boxes["x2"].max() <= width
        assert boxes["y2"].max() <= height
        assert (boxes["x1"] < boxes["x2"]).all()
        assert (boxes["y1"] < boxes["y2"]).all()
        assert (np.diff(boxes["score"]) <= 0).all()
        for name in ("score", "alpha", "detector_score"):
            assert boxes[name].between(0, 1).all()


def test_boxes_of_a_wide_film_are_in_its_own_pixels(bundle, tmp_path):
    """The same picture at twice the size gives boxes at twice the place."""
    small = write_films(tmp_path, [(96, 64)])[0]
    large = tmp_path / "large.png"
    with Image.open(small) as image:
        image.resize((192, 128), Image.Resampling.NEAREST).save(large)
    boxes = predict(bundle, [small, large]).boxes
    corners = [
        boxes.loc[boxes["image_id"] == name, ["x1", "y1", "x2", "y2"]].to_numpy()
        for name in ("film0", "large")
    ]
    np.testing.assert_allclose(corners[1], 2 * corners[0], atol=0.05)


def test_a_score_is_the_bundles_calibration_of_the_ranked_regions(bundle, films, prediction):
    regions = Model(bundle, OPTIONS).regions(films[:2], limit=10)
    for image_id, ranked in zip(("film0", "film1"), regions, strict=True):
        boxes = prediction.boxes[prediction.boxes["image_id"] == image_id]
        logits = 0.7 * ranked.log_alpha + 0.4 * ranked.film_sum
        np.testing.assert_allclose(boxes["score"], 1 / (1 + np.exp(-logits)), rtol=1e-6)
        np.testing.assert_allclose(boxes[["x1", "y1", "x2", "y2"]], ranked.xyxy, atol=1e-3)
        image = prediction.images.set_index("image_id").loc[image_id]
        expected = 1 / (1 + np.exp(-ranked.film_max))
        assert image["p_pneumonia"] == pytest.approx(expected)


def test_a_box_carries_the_keywords_that_the_head_gives_its_region(bundle, films, prediction):
    found = next(Model(bundle, OPTIONS).regions(films[:1], limit=10))
    boxes = prediction.boxes[prediction.boxes["image_id"] == "film0"]
    for named, probabilities in zip(boxes["attributes"], found.region_attributes, strict=True):
        expected = [
            keyword for keyword, p in zip(BUNDLE_KEYWORDS, probabilities, strict=True) if p >= 0.5
        ]
        assert named == ";".join(expected)


def assert_same(a, b, atol: float = 1e-6) -> None:
    """Two predictions of the same films, whatever their order."""
    for name in ("images", "attributes"):
        first, second = (getattr(p, name).set_index("image_id").sort_index() for p in (a, b))
        pd.testing.assert_frame_equal(first, second, rtol=0, atol=1e-5)
    first, second = (p.boxes.sort_values("image_id", kind="stable") for p in (a, b))
    assert first["image_id"].tolist() == second["image_id"].tolist()
    assert first["attributes"].tolist() == second["attributes"].tolist()
    corners = ["x1", "y1", "x2", "y2"]
    np.testing.assert_allclose(first[corners], second[corners], rtol=0, atol=2e-3)  # written digits
    probabilities = ["score", "alpha", "detector_score"]
    np.testing.assert_allclose(first[probabilities], second[probabilities], rtol=0, atol=atol)


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_the_batch_size_does_not_matter(bundle, films, prediction, batch_size):
    # The last bits of a convolution depend on how many films it takes at once.
    assert_same(predict(bundle, films, batch_size=batch_size), prediction)


def test_the_order_of_the_films_does_not_matter(bundle, films, prediction):
    order = [3, 0, 5, 2, 4, 1]
    shuffled = predict(bundle, [films[k] for k in order])
    assert shuffled.images["image_id"].tolist() == [f"film{k}" for k in order]
    assert_same(shuffled, prediction)


def test_predicting_twice_gives_the_same_bits(bundle, films, prediction):
    again = predict(bundle, films)
    for name in ("images", "boxes", "attributes"):
        pd.testing.assert_frame_equal(
            getattr(again, name), getattr(prediction, name), rtol=0, atol=0
        )


def test_fewer_boxes_are_the_first_ones_and_change_nothing_else(bundle, films, prediction):
    fewer = predict(bundle, films, max_boxes=2)
    expected = prediction.boxes.groupby("image_id", sort=False).head(2).reset_index(drop=True)
    pd.testing.assert_frame_equal(fewer.boxes, expected)
    pd.testing.assert_frame_equal(fewer.images, prediction.images)


def test_a_score_limit_cuts_boxes_and_changes_nothing_else(bundle, films, prediction):
    limit = float(prediction.boxes["score"].median())
    cut = predict(bundle, films, min_score=limit)
    expected = prediction.boxes[prediction.boxes["score"] >= limit].reset_index(drop=True)
    pd.testing.assert_frame_equal(cut.boxes, expected)
    # Severity is of the film, not of what is shown of it.
    pd.testing.assert_frame_equal(cut.images, prediction.images)


def test_no_box_at_all_is_a_prediction_too(bundle, films, tmp_path):
    empty = predict(bundle, films, min_score=1.0)
    assert len(empty.boxes) == 0
    write_prediction(empty, tmp_path / "out")
    assert len(read_prediction(tmp_path / "out").boxes) == 0


def test_severity_is_the_models_score_of_the_films_features(prediction):
    expected = tiny_severity().scores(feature_table(prediction))
    np.testing.assert_allclose(prediction.images["severity"], expected, atol=1e-4)
    assert prediction.info["severity"] == {"low": 0.0, "high": 8.0, "residual": 0.75}


def test_the_detector_alone_ranks_by_its_own_score_and_has_no_severity(bundle, films):
    baseline = predict(bundle, films, ranking="detector")
    assert (baseline.boxes["score"] == baseline.boxes["detector_score"]).all()
    for _, boxes in baseline.boxes.groupby("image_id"):
        assert (np.diff(boxes["score"]) <= 0).all()
    assert baseline.images["severity"].isna().all()
    assert baseline.info["options"]["ranking"] == "detector"


def test_a_written_prediction_reads_back_as_it_was(prediction, tmp_path):
    write_prediction(prediction, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "images.csv",
        "boxes.csv",
        "attributes.csv",
        "prediction.json",
    }
    read = read_prediction(tmp_path / "out")
    columns = list(BOX_COLUMNS[1:8])
    np.testing.assert_array_equal(read.boxes[columns], prediction.boxes[columns])
    assert read.boxes["attributes"].tolist() == prediction.boxes["attributes"].tolist()
    assert read.images["severity"].tolist() == prediction.images["severity"].tolist()
    assert read.info == prediction.info
    header, first = (tmp_path / "out" / "images.csv").read_text().splitlines()[:2]
    assert header == ",".join(IMAGE_COLUMNS)
    assert first.startswith("film0,film0.png,96,96,0.")


# Bad films.


def png_bomb(side: int) -> bytes:
    """A PNG that claims `side` squared black pixels; its size must be refused before its data."""
    rows = zlib.compressobj()
    data = b"".join(rows.compress(bytes(side + 1)) for _ in range(100)) + rows.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def bad_films(folder):
    """name -> a film that cannot be read, and a word of the reason."""
    jpeg = folder / "whole.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (120, 120), dtype=np.uint8)
    Image.fromarray(noise).save(jpeg)
    content = jpeg.read_bytes()
    jpeg.unlink()
    (folder / "bomb.png").write_bytes(png_bomb(20_000))
    (folder / "empty.png").write_bytes(b"")
    (folder / "cut.jpg").write_bytes(content[: len(content) // 2])
    (folder / "text.png").write_text("FINDINGS: there is no film here.")
    return {"bomb.png": "pixels", "empty.png": "empty", "cut.jpg": "truncated", "text.png": "PNG"}


@pytest.fixture
def mixed(tmp_path):
    """A folder of two good films and four bad ones; names of the bad ones and their reasons."""
    write_films(tmp_path, [(96, 96), (96, 96)])
    return tmp_path, bad_films(tmp_path)


def test_bad_films_are_listed_and_the_rest_is_done(bundle, mixed, tmp_path):
    folder, reasons = mixed
    prediction = predict(bundle, [folder], skip_errors=True)
    images = prediction.images.set_index("path")
    assert len(images) == 6
    for name, reason in reasons.items():
        assert images.loc[name, "status"] == "skipped"
        assert name in images.loc[name, "error"]
        assert reason in images.loc[name, "error"]
        assert pd.isna(images.loc[name, ["width", "height", "p_pneumonia", "severity"]]).all()
    assert set(prediction.boxes["image_id"]) == {"film0", "film1"}
    attributes = prediction.attributes.set_index("image_id")
    assert attributes.loc["empty"].isna().all()
    write_prediction(prediction, tmp_path / "out")
    read = read_prediction(tmp_path / "out")
    assert (read.images["status"] == "skipped").sum() == 4
    assert ",96,96,0." in (tmp_path / "out" / "images.csv").read_text()  # sizes stay whole numbers


def test_good_films_do_not_feel_the_bad_ones(bundle, mixed):
    folder, _ = mixed
    among_bad = predict(bundle, [folder], skip_errors=True)
    alone = predict(bundle, [folder / "film0.png", folder / "film1.png"])
    ok = among_bad.images["status"] == "ok"
    kept = dataclasses.replace(
        among_bad,
        images=among_bad.images[ok].astype({"width": "int64", "height": "int64"}),
        attributes=among_bad.attributes[ok],
    )
    assert_same(kept, alone)


@pytest.mark.parametrize("name", ["bomb.png", "empty.png", "cut.jpg", "text.png"])
def test_one_bad_film_stops_the_run_where_it_should(bundle, mixed, name):
    folder, reasons = mixed
    with pytest.raises(DataError, match=name) as caught:
        predict(bundle, [folder / "film0.png", folder / name])
    assert reasons[name] in str(caught.value)


def test_when_no_film_can_be_read_skipping_is_an_error(bundle, mixed):
    folder, reasons = mixed
    with pytest.raises(DataError, match="none of 4 films can be read"):
        predict(bundle, [folder / name for name in reasons], skip_errors=True)


def test_a_dicom_film_is_predicted(bundle):
    found = predict(bundle, [Path(get_testdata_file("image_dfl.dcm"))])
    image = found.images.iloc[0]
    assert (image["image_id"], image["status"]) == ("image_dfl", "ok")
    assert image["width"] > 100
    assert len(found.boxes) > 0
    assert found.boxes["x2"].max() <= image["width"]
    assert found.boxes["y2"].max() <= image["height"]


@pytest.mark.parametrize(
    "changes",
    [{"max_boxes": 0}, {"batch_size": 0}, {"min_score": 1.5}, {"min_score": float("nan")}],
)
def test_options_that_mean_nothing_are_refused(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        PredictOptions(**changes)


def test_an_unknown_ranking_is_refused():
    with pytest.raises(ConfigError, match="expected localizer or detector, got 'best'"):
        PredictOptions(ranking="best")
