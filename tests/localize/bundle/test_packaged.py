"""The bundle in the package: complete, small, repeated to the pixel, and the default."""

from __future__ import annotations

import cv2
import numpy as np
import pydicom
import pytest
from sklearn.datasets import load_sample_images
from typer.testing import CliRunner

from data_manifests.films.other_images import DRAWN
from localize.bundle.bundle import load_bundle
from localize.bundle.packaged import EXAMPLE_FILMS, FIRST_BUNDLE, PACKAGED_BUNDLE, WEIGHTS
from localize.inference.golden import check_golden
from localize.prediction.tables import read_prediction
from pneumoloc import command_line

pytestmark = pytest.mark.slow
MAX_MEGABYTES = 25  # of both bundles together


@pytest.fixture(scope="module")
def bundle():
    return load_bundle(PACKAGED_BUNDLE)


def run(*arguments) -> str:
    result = CliRunner().invoke(command_line(), [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_golden_prediction_is_repeated(bundle):
    check_golden(bundle, PACKAGED_BUNDLE)
    assert bundle.guard is not None
    assert bundle.severity is not None
    assert 0 < bundle.calibration.least_yes < 1
    assert 0 < bundle.calibration.most_no < 1
    size = sum(path.stat().st_size for path in WEIGHTS.rglob("*") if path.is_file())
    assert size < MAX_MEGABYTES * 1e6


def test_the_bundle_of_earlier_versions_predicts_as_it_did():
    first = load_bundle(FIRST_BUNDLE)
    check_golden(first, FIRST_BUNDLE)
    assert first.unproven_keywords == ()
    assert not first.calibration.place_words


def test_words_of_place_follow_from_boxes_and_others_are_marked(bundle):
    placed, unproven = set(bundle.calibration.place_words), set(bundle.unproven_keywords)
    assert {"left", "right", "bilateral", "upper", "lower", "multifocal"} <= placed - unproven
    assert placed | unproven == set(bundle.words.keywords)
    assert {"patchy", "lingular", "severe"} <= unproven


def test_the_demo_writes_every_file_that_it_names(tmp_path):
    output = run("demo", "--out", tmp_path / "demo")
    named = [line.split()[0] for line in output.splitlines() if line.startswith("  ")]
    assert len(named) == 5
    for path in named:
        assert (tmp_path / "demo") in [*(tmp_path / path).parents]
        assert (tmp_path / path).exists()
    images = read_prediction(tmp_path / "demo" / "prediction").images
    assert set(images["image_id"]) == {path.stem for path in EXAMPLE_FILMS.glob("*.jpg")}
    assert (images["warning"] == "").all()  # all five are frontal chest films
    assert images["severity"].between(0, 8).all()


def test_one_film_as_jpeg_16_bit_png_and_dicom_gets_the_same_boxes(tmp_path):
    film = cv2.imread(str(EXAMPLE_FILMS / "c0f74558.jpg"), cv2.IMREAD_GRAYSCALE)
    wide = film.astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "sixteen.png"), wide)
    (tmp_path / "eight.jpg").write_bytes((EXAMPLE_FILMS / "c0f74558.jpg").read_bytes())
    write_dicom(tmp_path / "twelve.dcm", wide >> 4)
    run("predict", tmp_path, "--out", tmp_path / "out")
    prediction = read_prediction(tmp_path / "out")
    assert len(prediction.images) == 3
    assert (prediction.images["status"] == "ok").all()
    boxes = {
        image_id: table[["x1", "y1", "x2", "y2", "score"]].to_numpy()[:3]
        for image_id, table in prediction.boxes.groupby("image_id")
    }
    first, *others = boxes.values()
    for other in others:
        np.testing.assert_allclose(other[:, :4], first[:, :4], atol=1.5)  # 12 bits round
        np.testing.assert_allclose(other[:, 4], first[:, 4], atol=0.02)


def write_dicom(path, pixels) -> None:
    """A 12-bit digital radiograph, uncompressed."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = DigitalXRayImageStorageForPresentation
    data.SOPInstanceUID = pydicom.uid.generate_uid()
    data.Modality, data.BodyPartExamined, data.ViewPosition = "DX", "CHEST", "PA"
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
    data.PixelRepresentation = 0
    data.PixelData = pixels.astype("<u2").tobytes()
    data.save_as(path, enforce_file_format=True)


def test_a_hundred_pictures_of_other_kinds_are_flagged(bundle, tmp_path):
    rng = np.random.default_rng(20)
    folder = tmp_path / "others"
    folder.mkdir()
    for kind in ("noise", "blank", "text"):
        for number in range(25):
            picture = (DRAWN[kind](rng) * 255).astype(np.uint8)
            cv2.imwrite(str(folder / f"{kind}{number}.png"), picture)
    photos = load_sample_images().images
    for number in range(25):
        photo = photos[number % 2]
        top, left = int(rng.integers(0, 200)), int(rng.integers(0, 300))
        cut = photo[top : top + int(rng.integers(150, 227)), left : left + 340]
        cv2.imwrite(str(folder / f"photo{number}.png"), cut.mean(axis=2).astype(np.uint8))
    run("predict", folder, "--out", tmp_path / "out")
    images = read_prediction(tmp_path / "out").images
    assert len(images) == 100
    assert (images["warning"] != "").mean() >= 0.95
    is_photo = images["image_id"].str.startswith("photo")
    assert (images["warning"][~is_photo] != "").all()
