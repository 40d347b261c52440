"""From a volume and its report to maps, boxes, markups, segmentations and a page."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image

from data_manifests.support.errors import CheckpointError, ConfigError
from data_manifests.volumes.organ_labels import read_organ_labels
from data_manifests.volumes.read_volume import read_anatomy, read_volume
from localize.volumes.evaluation.evaluate import evaluate_grounder, evaluation_lines
from localize.volumes.evaluation.scores import score_map
from localize.volumes.inference.ground import Grounding, ground_report
from localize.volumes.inference.load_grounder import load_grounder
from localize.volumes.inference.patches import predict_maps
from localize.volumes.output.planes import draw_planes
from localize.volumes.output.write_grounding import write_grounding
from tests.data_manifests.volumes.files import write_series
from tests.localize.volumes.conftest import tiny_settings

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def grounder(trained):
    return load_grounder(trained, CPU)


@pytest.fixture(scope="module")
def case(phantom_set):
    item = phantom_set.of_split("test")[0]
    volume = read_volume(phantom_set.folder / item.path)
    return item, volume, read_anatomy(phantom_set.folder / item.anatomy, volume)


@pytest.fixture(scope="module")
def grounding(grounder, case, phantom_set):
    item, volume, anatomy = case
    return ground_report(grounder, volume, anatomy, phantom_set.labels, item.report)


def planted_map(grounding, anomaly):
    """The same grounding with maps that mark the lowest corner voxel block of 4."""
    maps = np.zeros_like(grounding.maps[:1])
    maps[0, 4:8, 6:10, 8:12] = 255
    report = grounding.report
    return Grounding(report, (anomaly,), maps, grounding.image, grounding.grid)


def test_every_anomaly_has_a_map_but_the_denied_ones(grounding, case):
    item, _, _ = case
    present = [a for a in item.anomalies if a.assertion == "present"]
    assert len(grounding.maps) == len(present) == len(grounding.anomalies)
    assert {a.assertion for a in grounding.denied} == {"absent"}


def test_patches_give_the_map_of_the_whole_where_they_see_enough(grounder, grounding, case):
    """A volume that two patches cover: far from the cut, both answer alike."""
    tokens = grounder.vocabulary.tokenize(grounding.report)
    from localize.volumes.network.query import anomaly_query

    organs = grounder.structurer.lexicon.organs
    queries = [anomaly_query(a, tokens, organs) for a in grounding.anomalies[:1]]
    image = np.random.default_rng(0).integers(0, 255, (2, 200, 32, 24)).astype(np.uint8)
    whole, parts = (
        predict_maps(grounder.network, image, tokens, queries, patch=patch, precision=torch.float32)
        for patch in ((200, 32, 24), (104, 32, 24))
    )
    difference = np.abs(whole.astype(int) - parts)
    assert difference.mean() < 3
    assert (whole > 0).any()


def test_files_agree_with_each_other(grounding, case, tmp_path):
    _, volume, _ = case
    planted = planted_map(grounding, grounding.anomalies[0])
    (item,) = write_grounding(planted, volume, tmp_path / "out", threshold=0.5)
    folder = tmp_path / "out"
    table = json.loads((folder / "grounding.json").read_text())
    (region,) = table["anomalies"][0]["regions"]
    low = planted.grid.to_world(np.array([[4, 6, 8]]) - 0.5)[0]
    high = planted.grid.to_world(np.array([[8, 10, 12]]) - 0.5)[0]
    assert np.abs(np.array(region["low_mm"]) - low).max() < 0.1
    assert np.abs(np.array(region["high_mm"]) - high).max() < 0.1
    image = nibabel.load(folder / "maps" / f"{item.name}.nii.gz")
    assert np.asarray(image.dataobj).max() == 100
    assert (np.asarray(image.dataobj) == 100).sum() == 64
    markup = json.loads((folder / "markups" / f"{item.name}.mrk.json").read_text())["markups"][0]
    assert np.abs(np.array(markup["center"]) - (low + high) / 2).max() < 0.1
    assert markup["size"] == pytest.approx((high - low).tolist(), abs=0.1)
    assert not (folder / "segmentations").exists()  # no DICOM source
    assert Image.open(folder / "planes" / f"{item.name}.png").height == 240
    page = (folder / "index.html").read_text()
    assert f"planes/{item.name}.png" in page
    assert "Without a map" in page


def test_a_series_gets_segmentations_on_its_slices(
    grounder, grounding, case, phantom_set, tmp_path
):
    import highdicom as hd

    _, volume, _ = case
    folder = write_series(tmp_path / "series", volume.hu, volume.grid)
    read = read_volume(folder)
    planted = planted_map(grounding, grounding.anomalies[0])
    (item,) = write_grounding(planted, read, tmp_path / "out", threshold=0.5)
    found = hd.seg.segread(tmp_path / "out" / "segmentations" / f"{item.name}.dcm").get_volume(
        combine_segments=True
    )
    points = found.map_indices_to_reference(np.argwhere(found.array > 0))
    centre = planted.grid.to_world(np.array([[5.5, 7.5, 9.5]]))[0]
    assert np.abs(points.mean(axis=0) - centre).max() < 0.1


def test_a_reports_text_is_escaped_on_the_page(grounder, case, phantom_set, tmp_path):
    _, volume, anatomy = case
    text = "There is a <script>alert(1)</script> nodule in the left lower lobe."
    grounding = ground_report(grounder, volume, anatomy, phantom_set.labels, text)
    write_grounding(grounding, volume, tmp_path / "out", threshold=0.5)
    assert "<script>" not in (tmp_path / "out" / "index.html").read_text()


def test_planes_show_the_brightest_place_with_the_head_up():
    grey = np.zeros((20, 16, 12), np.uint8)
    steps = np.zeros_like(grey)
    steps[15:18, 3:5, 9:11] = 255  # the patient's left, front, head
    picture = np.asarray(draw_planes(grey, steps)).astype(int)
    red = picture[..., 0] > 60
    axial = red[:, : round(20 * 240 / 16)]
    rows, columns = np.nonzero(axial)
    assert columns.mean() > axial.shape[1] / 2  # left is on the right
    assert rows.mean() < 120  # front is up
    rows, _ = np.nonzero(red[:, axial.shape[1] + 6 :])
    assert rows.mean() < 120  # head is up


@pytest.mark.parametrize(("shift", "hit"), [(0, True), (6, False)])
def test_the_scores_are_those_of_a_slow_loop(shift, hit):
    region = np.zeros((12, 6, 6), bool)
    region[2:6, 1:5, 1:5] = True
    rng = np.random.default_rng(0)
    steps = np.roll(np.where(region, rng.integers(100, 255, region.shape), 3), shift, axis=0)
    score = score_map(steps.astype(np.uint8), region)
    ious = []
    for threshold in (0.1, 0.2, 0.3, 0.4, 0.5):
        mask = steps / 255 >= threshold
        ious.append((mask & region).sum() / (mask | region).sum())
    soft = steps / 255
    assert score.miou == pytest.approx(np.mean(ious))
    assert score.dice == pytest.approx(2 * (soft * region).sum() / ((soft**2).sum() + region.sum()))
    assert score.is_hit is hit


def test_an_evaluation_counts_every_marked_and_denied_anomaly(grounder, phantom_set, trained):
    result = evaluate_grounder(grounder, phantom_set, "test", cache=trained / "cache", seed=0)
    items = [a for v in phantom_set.of_split("test") for a in v.anomalies]
    assert result.means.anomalies == sum(a.assertion == "present" for a in items)
    assert result.denied == sum(a.assertion == "absent" for a in items)
    assert result.denied_without_map == 1
    assert sum(one.anomalies for one in result.by_kind().values()) == result.means.anomalies
    assert result.dice.low <= result.means.dice <= result.dice.high
    assert len(evaluation_lines(result)) == 3 + len(result.by_kind())


def test_a_folder_that_is_no_training_or_is_damaged_is_refused(trained, tmp_path):
    with pytest.raises(CheckpointError, match="expected the folder of `pneumoloc volumes train`"):
        load_grounder(tmp_path, CPU)
    for name in ("grounder.json", "grounder.safetensors"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    (tmp_path / "grounder.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(CheckpointError):
        load_grounder(tmp_path, CPU)


def test_a_transformer_head_refuses_volumes_larger_than_its_patch(grounder, grounding):
    from localize.volumes.network.grounder import build_grounder
    from localize.volumes.network.query import anomaly_query

    config = tiny_settings(head="transformer").network
    network = build_grounder(config, words=len(grounder.vocabulary.words), organs=20)
    tokens = grounder.vocabulary.tokenize(grounding.report)
    query = anomaly_query(grounding.anomalies[0], tokens, grounder.structurer.lexicon.organs)
    with pytest.raises(ConfigError, match="head transformer"):
        predict_maps(
            network, np.zeros((2, 64, 32, 24), np.uint8), tokens, [query],
            patch=(40, 32, 24), precision=torch.float32,
        )  # fmt: skip


def test_packaged_labels_serve_where_none_are_given():
    assert read_organ_labels(None).names[5] == "liver"
