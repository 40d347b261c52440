from __future__ import annotations

import pytest
from pydantic import ValidationError

from data_manifests.support.errors import ConfigError
from data_manifests.support.settings import load_settings
from detector.config import DetectorConfig, DetectorSettings, DetectorTrainConfig


@pytest.mark.parametrize("model", [DetectorConfig, DetectorTrainConfig])
def test_defaults_are_valid_settings_and_come_back_from_json(model):
    assert model.model_validate_json(model().model_dump_json()) == model()


@pytest.mark.parametrize(
    "override",
    [
        "detector.backbone=vgg",
        "detector.anchor_sides=[0.1, 0.2]",
        "detector.anchor_sides=[0, 0.1, 0.2, 0.3, 0.4]",
        "detector.aspect_ratios=[-1]",
        "detector.aspect_ratios=[]",
        "training.precision=float16",
        "training.boxed_share=1.2",
        "training.source_weights={a: -1}",
        "training.lr=0",
        "training.batch_size=0",
        "training.epochs=2.5",
        "training.momentum=0.9",
    ],
)
def test_settings_out_of_range_are_refused_by_name(override):
    with pytest.raises(ConfigError, match=override.split("=")[0].replace(".", r"\.")):
        load_settings(DetectorSettings, None, [override])


def test_settings_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        DetectorConfig().image_size = 3


def test_every_training_setting_with_a_choice_says_why():
    unexplained = {"seed", "epochs", "weight_decay", "clip_norm", "fpn_width"}
    fields = {**DetectorConfig.model_fields, **DetectorTrainConfig.model_fields}
    assert {name for name, field in fields.items() if not field.description} <= unexplained
