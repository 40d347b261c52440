"""Training: batches, losses, exact resume."""

from __future__ import annotations

import json
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from attributes.anomalies.structure_ct import AnomalyStructurer
from data_manifests.support.errors import ConfigError, DataError, Interrupted
from data_manifests.volumes.volume_set import MarkedAnomaly
from detector.run.run_state import RunState
from localize.volumes.network.network_image import cut_patch
from localize.volumes.network.report_tokens import build_vocabulary
from localize.volumes.training.batches import draw_batch
from localize.volumes.training.examples import make_examples, match_anomalies
from localize.volumes.training.losses import box_loss, dice_loss, region_boxes
from localize.volumes.training.train import train_grounder
from tests.localize.volumes.conftest import tiny_settings

CPU = torch.device("cpu")
STRUCTURER = AnomalyStructurer()


@pytest.fixture(scope="module")
def examples(phantom_set, tmp_path_factory):
    volumes = phantom_set.of_split("train")
    vocabulary = build_vocabulary(STRUCTURER.structure(v.report) for v in volumes)
    return make_examples(
        phantom_set, volumes, vocabulary, STRUCTURER,
        spacing_mm=10, cache=tmp_path_factory.mktemp("cache"),
    )  # fmt: skip


def test_an_example_pairs_every_region_with_its_anomaly(examples, phantom_set):
    for example in examples:
        assert len(example.queries) == len(example.marked)
        for row, anomaly in zip(example.region_of, example.found, strict=True):
            marked = example.marked[row]
            words = set(marked.place.split()) & {"right", "left", "upper", "lower", "middle"}
            assert words <= anomaly.places
            assert anomaly.head.start < marked.end


def test_two_places_of_one_phrase_keep_their_own_regions():
    text = "Nodules are seen in the left lower lobe and in the right upper lobe."
    anomalies = STRUCTURER.structure(text).anomalies
    marked = [
        MarkedAnomaly(0, 7, "nodule", "lung", place, "present", "m.nii.gz", value)
        for value, place in enumerate(["right upper lobe", "left lower lobe"])
    ]
    pairs = match_anomalies(marked, anomalies)
    assert [(row, "upper" in found.places) for row, found in pairs] == [(0, True), (1, False)]


def test_a_batch_depends_on_its_generator_alone_and_holds_the_regions(examples):
    rows = np.array([0, 1])
    first, second = (
        draw_batch(examples, rows, np.random.default_rng(5), patch=(40, 32, 24), use_anatomy=True)
        for _ in range(2)
    )
    assert torch.equal(first.images, second.images)
    assert first.images.shape == (2, 2, 40, 32, 24)
    assert len(first.regions) == sum(map(len, first.queries))
    whole = sum(int(examples[row].read_regions().sum()) for row in rows)
    assert int(first.regions.sum()) == whole  # the volumes fit into the patch


def test_small_patches_of_a_volume_are_inside_it_and_mostly_on_a_region(examples):
    batches = [
        draw_batch(
            examples, np.array([0]), np.random.default_rng(k), patch=(16, 16, 16), use_anatomy=False
        )
        for k in range(40)
    ]
    first = [batch.regions[0].sum() > 0 for batch in batches]
    assert np.mean(first) > 0.6


def test_a_cut_beyond_the_edges_is_zero_there():
    values = np.arange(24).reshape(1, 2, 3, 4) + 1
    cut = cut_patch(values, [-1, 1, 2], (4, 2, 4))
    assert (cut[0, 0] == 0).all()
    assert (cut[0, 3] == 0).all()
    assert (cut[0, 1:3, :, :2] == values[0, :, 1:, 2:]).all()
    assert (cut[0, 1:3, :, 2:] == 0).all()


def test_the_dice_loss_is_that_of_a_slow_loop():
    rng = np.random.default_rng(0)
    logits, regions = rng.normal(size=(3, 4, 3, 2)), rng.random((3, 4, 3, 2)) > 0.5
    losses = dice_loss(torch.from_numpy(logits), torch.from_numpy(regions))
    for loss, one, truth in zip(losses.tolist(), logits, regions, strict=True):
        overlap = squares = 0.0
        for value, inside in zip(one.ravel(), truth.ravel(), strict=True):
            p = 1 / (1 + np.exp(-value))
            overlap += p * inside
            squares += p * p + inside
        assert loss == pytest.approx(1 - (2 * overlap + 1) / (squares + 1), abs=1e-5)


def test_a_regions_box_covers_its_voxels():
    region = torch.zeros(2, 10, 8, 4)
    region[0, 2:5, 1:2, 0:4] = 1
    boxes = region_boxes(region)
    assert boxes[0].tolist() == pytest.approx([0.35, 0.1875, 0.5, 0.3, 0.125, 1.0])
    assert boxes[1].tolist() == [0.5, 0.5, 0.5, 1, 1, 1]  # empty: the whole image
    assert box_loss(boxes, boxes).abs().max() < 1e-6
    assert box_loss(boxes[:1], boxes[1:]) > 1


def test_an_interrupted_training_resumes_to_the_same_weights(
    phantom_set, trained, tmp_path, monkeypatch
):
    finish = RunState.finish_step

    def interrupt(self, metrics, *, checkpoint_every):
        if self.progress.step == 2:
            signal.raise_signal(signal.SIGTERM)
        finish(self, metrics, checkpoint_every=checkpoint_every)

    monkeypatch.setattr(RunState, "finish_step", interrupt)
    with pytest.raises(Interrupted):
        train_grounder(phantom_set, tmp_path, tiny_settings(), CPU)
    monkeypatch.undo()
    train_grounder(phantom_set, tmp_path, tiny_settings(), CPU)
    one, two = (load_file(folder / "grounder.safetensors") for folder in (trained, tmp_path))
    assert all(torch.equal(one[name], two[name]) for name in one)
    lines = [(folder / "metrics.jsonl").read_text() for folder in (trained, tmp_path)]
    assert lines[0] == lines[1]


def test_a_checkpoint_of_other_settings_is_refused(phantom_set, trained):
    with pytest.raises(ConfigError, match="width"):
        train_grounder(phantom_set, trained, tiny_settings(width=4), CPU)


def test_a_set_without_validation_volumes_is_refused(phantom_set, tmp_path):
    rest = type(phantom_set)(phantom_set.folder, phantom_set.of_split("train"), phantom_set.labels)
    with pytest.raises(DataError, match="volumes of split 'val', got none"):
        train_grounder(rest, tmp_path, tiny_settings(), CPU)


@pytest.mark.parametrize(
    "network", [{"head": "transformer"}, {"use_structure": False, "use_anatomy": False}]
)
def test_every_row_of_the_table_trains(phantom_set, tmp_path, network):
    train_grounder(phantom_set, tmp_path, tiny_settings(epochs=1, **network), CPU)
    described = json.loads((tmp_path / "grounder.json").read_text())
    assert {name: described["network"][name] for name in network} == network
