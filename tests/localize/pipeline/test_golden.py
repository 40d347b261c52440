"""Half-precision bundles, their golden prediction and film guard, from `make_bundle` to predict."""

from __future__ import annotations

import hashlib
import json

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from data_manifests.phantom.case import PhantomOptions
from data_manifests.phantom.generate import SplitShares, build_phantom
from data_manifests.support.errors import CheckpointError
from localize.bundle.bundle import load_bundle
from localize.inference.film_list import film_list
from localize.inference.golden import check_golden
from localize.inference.options import PredictOptions
from localize.inference.predict_films import predict_films
from localize.pipeline.make_bundle import make_bundle
from tests.localize.models import CPU, write_tiny_bundle

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A bundle in half precision with a guard, made of random weights and phantom films."""
    folder = tmp_path_factory.mktemp("golden")
    write_tiny_bundle(folder)
    films = build_phantom(
        folder / "films",
        PhantomOptions(size=64, seed=5),
        films=130,
        shares=SplitShares(val=0.25, test=0.0),
    )
    return make_bundle(
        folder / "made",
        detector_run=folder / "detector",
        localizer_run=folder / "localizer",
        words=folder / "words",
        lexicon=folder / "bundle" / "lexicon.yaml",
        validation=films.split("val"),
        severity_films=None,
        severity_column="severity",
        guard_films=[films],
        half_precision=True,
        training_data="phantoms",
        device=CPU,
    )


def test_weights_are_half_as_large_and_load_as_what_they_round_to(made):
    stored, whole = (
        load_file(folder / "detector.safetensors") for folder in (made, made.parent / "detector")
    )
    loaded = load_bundle(made).detector.state_dict()
    for name, tensor in whole.items():
        if tensor.is_floating_point():
            assert stored[name].dtype == torch.float16
            assert loaded[name].dtype == torch.float32
            torch.testing.assert_close(loaded[name], tensor, rtol=1e-3, atol=1e-6)


def test_the_golden_prediction_is_repeated(made):
    assert check_golden(load_bundle(made), made) < 1e-3


def test_other_weights_under_a_right_checksum_fail_the_golden_prediction(made, tmp_path):
    for file in made.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(tmp_path / "detector.safetensors")
    name = next(name for name in weights if "bbox_reg" in name and name.endswith("bias"))
    weights[name] = weights[name] + 0.5
    save_file(weights, tmp_path / "detector.safetensors")
    description = json.loads((tmp_path / "bundle.json").read_text())
    digest = hashlib.sha256((tmp_path / "detector.safetensors").read_bytes()).hexdigest()
    description["files"]["detector.safetensors"] = digest
    (tmp_path / "bundle.json").write_text(json.dumps(description))
    with pytest.raises(CheckpointError, match="predictions cannot be trusted here"):
        check_golden(load_bundle(tmp_path), tmp_path)


def test_another_answer_to_a_keyword_fails_the_golden_prediction(made):
    bundle = load_bundle(made)
    bundle.localizer.film_head.bias += 0.5
    with pytest.raises(CheckpointError, match="a keyword's probability differs by"):
        check_golden(bundle, made)


def test_a_golden_prediction_from_before_the_keywords_is_still_good(made, tmp_path):
    for file in made.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    answer = json.loads((tmp_path / "golden.json").read_text())
    assert len(answer.pop("attributes")) == 4
    (tmp_path / "golden.json").write_text(json.dumps(answer))
    bundle = load_bundle(made)
    bundle.localizer.film_head.bias += 0.5
    assert check_golden(bundle, tmp_path) < 1e-3


def test_a_picture_that_is_no_film_gets_its_warning(made, tmp_path):
    film = cv2.imread(str(made / "golden.png"), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(tmp_path / "film.png"), film)
    cv2.imwrite(str(tmp_path / "inverted.png"), 255 - film)
    page = np.full((200, 160), 255, np.uint8)
    for line in range(12, 200, 14):
        cv2.putText(page, "the quick brown fox jumps", (4, line), 0, 0.4, 0, 1)
    cv2.imwrite(str(tmp_path / "page.png"), page)
    films = film_list(sorted(tmp_path.glob("*.png")))
    images = predict_films(load_bundle(made), films, PredictOptions(), CPU).images
    output = dict(zip(images["image_id"], images["warning"], strict=True))
    assert output["film"] == ""
    assert "frontal chest film" in output["inverted"]
    assert "frontal chest film" in output["page"]
    assert set(images["opacity"]) <= {"yes", "no", "unsure"}
