"""A finished bundle is used again, unless it was made with other settings."""

from __future__ import annotations

import json

import pytest

from data_manifests.support.errors import ConfigError
from localize.bundle.bundle import read_json
from localize.pipeline.attention import PairParts, attention_bundle, check_settings
from localize.training.settings import LocalizerSettings


@pytest.fixture
def made_with(bundle):
    """The settings in a bundle of the test models."""
    stored = read_json(bundle / "localizer.json")
    return LocalizerSettings.model_validate(
        {"localizer": stored["localizer"], "training": stored.get("training", {})}
    )


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    from tests.localize.models import tiny_severity, write_tiny_bundle

    return write_tiny_bundle(tmp_path_factory.mktemp("bundle"), severity=tiny_severity())


def test_the_same_settings_are_accepted(bundle, made_with):
    if "training" not in read_json(bundle / "localizer.json"):
        pytest.skip("the tiny bundle was not trained")
    check_settings(bundle, made_with)


def test_other_settings_are_refused_with_both_values(bundle, made_with):
    other = made_with.training.model_copy(update={"margin": 0.123})
    with pytest.raises(ConfigError, match="margin"):
        check_settings(bundle, made_with.model_copy(update={"training": other}))


def test_a_bundle_from_before_film_evidence_is_another(bundle, made_with, tmp_path):
    described = read_json(bundle / "localizer.json")
    described["localizer"].pop("film_evidence")
    (tmp_path / "localizer.json").write_text(json.dumps(described))
    with pytest.raises(ConfigError, match="film_evidence"):
        check_settings(tmp_path, made_with)


def test_a_bundle_of_other_settings_stops_the_run(tmp_path, bundle, made_with):
    (tmp_path / "bundle").symlink_to(bundle)
    parts = PairParts(*[None] * 7)
    other = made_with.training.model_copy(update={"margin": 0.123})
    with pytest.raises(ConfigError, match="margin"):
        attention_bundle(parts, made_with.model_copy(update={"training": other}), tmp_path, None)
