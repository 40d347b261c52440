"""The mean of the weights of detectors that were trained from one start."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from data_manifests.support.errors import CheckpointError, ConfigError
from detector.detector import Detector, load_detector
from experiments.core.mixed_weights import mixed_detector, read_detector, write_detector
from tests.detector.films import make_detector, tiny_config


@pytest.fixture
def folders(tmp_path):
    """Two detectors of one configuration, the second with all weights raised by 1."""
    model = make_detector()
    write_detector(Detector(model, tiny_config(), ""), tmp_path / "a")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 1
    write_detector(Detector(model, tiny_config(), ""), tmp_path / "b")
    return tmp_path / "a", tmp_path / "b"


def test_weights_are_averaged_with_their_shares(folders):
    first, second = folders
    mixed = mixed_detector({first: 0.75, second: 0.25}).model
    old = load_detector(first).model
    for name, parameter in mixed.named_parameters():
        expected = old.get_parameter(name) + 0.25
        torch.testing.assert_close(parameter, expected, atol=2e-3, rtol=1e-3)


def test_one_detector_alone_is_itself(folders):
    assert mixed_detector({folders[0]: 1.0}).sha256 == read_mixed(folders[0]).sha256


def read_mixed(folder):
    return mixed_detector({folder: 1.0})


def test_shares_add_up_to_one(folders):
    with pytest.raises(ConfigError, match=r"add up to 1, got 1\.2000"):
        mixed_detector(dict(zip(folders, (0.7, 0.5), strict=True)))


def test_another_configuration_is_refused(folders, tmp_path):
    config = tiny_config(fpn_width=32)
    write_detector(Detector(make_detector(fpn_width=32), config, ""), tmp_path / "c")
    with pytest.raises(ConfigError, match="trained from the same start"):
        mixed_detector({folders[0]: 0.5, tmp_path / "c": 0.5})


def test_a_file_with_its_settings_is_read(folders, tmp_path):
    model = load_detector(folders[0]).model
    metadata = {"detector.json": tiny_config().model_dump_json()}
    save_file(model.state_dict(), tmp_path / "d.safetensors", metadata=metadata)
    read = read_detector(tmp_path / "d.safetensors")
    torch.testing.assert_close(read.model.state_dict(), model.state_dict())
    save_file(model.state_dict(), tmp_path / "e.safetensors")
    with pytest.raises(CheckpointError, match=r"e\.safetensors: expected a folder"):
        read_detector(tmp_path / "e.safetensors")
