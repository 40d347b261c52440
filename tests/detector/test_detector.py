"""The detector and its files: one checksum however cut, and refusals that name the tensor."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import save_file

from data_manifests.support.errors import CheckpointError
from detector.detector import load_detector
from detector.network.model import build_detector
from detector.network.weights import read_tensors, weights_sha256
from tests.detector.films import tiny_config


@pytest.fixture(scope="module")
def tensors():
    torch.manual_seed(3)
    model = build_detector(tiny_config())
    return {name: tensor.contiguous() for name, tensor in model.state_dict().items()}


def write_run(folder, tensors, shards=1, **config):
    folder.mkdir(parents=True)
    content = {**tiny_config().model_dump(mode="json"), "validation": {"ap_50": 0.5}, **config}
    (folder / "detector.json").write_text(json.dumps(content))
    names = sorted(tensors)
    for k in range(shards):
        part = {name: tensors[name] for name in names[k::shards]}
        name = f"detector-{k + 1:05d}-of-{shards:05d}" if shards > 1 else "detector"
        save_file(part, folder / f"{name}.safetensors")
    return folder


def test_a_run_folder_loads_in_evaluation_mode(tmp_path, tensors):
    detector = load_detector(write_run(tmp_path / "run", tensors))
    assert not detector.model.training
    assert detector.config == tiny_config()
    assert detector.sha256 == weights_sha256(tensors)
    loaded = detector.model.state_dict()
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)


def test_shards_are_the_same_model_with_the_same_checksum(tmp_path, tensors):
    detector = load_detector(write_run(tmp_path / "run", tensors, shards=3))
    assert detector.sha256 == weights_sha256(tensors)
    loaded = detector.model.state_dict()
    assert all(torch.equal(loaded[name], tensors[name]) for name in tensors)


def test_one_changed_bit_is_another_checksum(tensors):
    name = sorted(tensors)[5]
    changed = tensors[name].clone()
    changed.view(-1)[0] += 1e-6
    assert weights_sha256({**tensors, name: changed}) != weights_sha256(tensors)
    renamed = {f"{key}_" if key == name else key: value for key, value in tensors.items()}
    assert weights_sha256(renamed) != weights_sha256(tensors)


def test_half_precision_weights_are_loaded_as_float32(tmp_path, tensors):
    half = {n: t.half() if t.is_floating_point() else t for n, t in tensors.items()}
    model = load_detector(write_run(tmp_path / "run", half)).model
    assert {p.dtype for p in model.parameters()} == {torch.float32}


NAME = "head.classification_head.cls_logits.bias"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: {n: v for n, v in t.items() if n != NAME}, f"{NAME} is missing"),
        (lambda t: {**t, "extra.weight": torch.zeros(1)}, r"extra\.weight is unknown"),
        (lambda t: {**t, NAME: t[NAME][:-1]}, rf"{NAME} must have shape .* got shape \(8,\)"),
        (lambda t: {**t, NAME: t[NAME].int()}, rf"{NAME} must be of type torch.float32"),
        (lambda t: {**t, NAME: t[NAME] * torch.nan}, rf"{NAME} has values that are not finite"),
        (lambda t: {**t, NAME: t[NAME] + torch.inf}, rf"{NAME} has values that are not finite"),
    ],
)
def test_other_tensors_are_refused_by_name(tmp_path, tensors, change, told):
    with pytest.raises(CheckpointError, match=told):
        load_detector(write_run(tmp_path / "run", change(tensors)))


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff" * 16, (10**12).to_bytes(8, "little") + b"{}", b"PK\x03\x04 zip"],
    ids=["empty", "bad header", "header of a terabyte", "zip"],
)
def test_a_file_that_is_no_safetensors_is_refused(tmp_path, content):
    path = tmp_path / "detector.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"detector\.safetensors: expected safetensors"):
        read_tensors(path)


def test_a_missing_shard_is_named(tmp_path, tensors):
    folder = write_run(tmp_path / "run", tensors, shards=3)
    (folder / "detector-00002-of-00003.safetensors").unlink()
    with pytest.raises(CheckpointError, match="detector-00002-of-00003"):
        load_detector(folder)


def test_a_tensor_in_two_shards_is_refused(tmp_path, tensors):
    folder = write_run(tmp_path / "run", tensors, shards=2)
    first = folder / "detector-00001-of-00002.safetensors"
    first.rename(folder / "detector-00002-of-00002.safetensors")
    save_file(tensors, first)
    with pytest.raises(CheckpointError, match="in one file, got it in two"):
        load_detector(folder)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"image_sizes": 3}, "field image_sizes"),
        ({"backbone": "vgg"}, "field backbone"),
        ({"image_size": "wide"}, "field image_size"),
    ],
)
def test_settings_of_another_program_are_refused(tmp_path, tensors, config, told):
    with pytest.raises(CheckpointError, match=told):
        load_detector(write_run(tmp_path / "run", tensors, **config))


def test_a_folder_without_a_detector_says_what_to_give(tmp_path):
    with pytest.raises(CheckpointError, match="pneumoloc detector train"):
        load_detector(tmp_path)
    (tmp_path / "detector.json").write_text("[1]")
    with pytest.raises(CheckpointError, match=r"detector\.json"):
        load_detector(tmp_path)
    (tmp_path / "detector.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"expected detector\.safetensors"):
        load_detector(tmp_path)
