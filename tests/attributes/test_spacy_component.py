from __future__ import annotations

import configparser
import importlib
from pathlib import Path

import pytest
import spacy

import attributes.spacy_component  # registers the component where not installed
from data_manifests.support.errors import ConfigError


def test_findings_become_spans_with_assertion_and_attributes() -> None:
    nlp = spacy.blank("en")
    nlp.add_pipe("pneumoloc_findings")
    doc = nlp("No effusion. Patchy left ground-glass opacity.")
    found = [
        (span.text, span.label_, span._.assertion, span._.attributes)
        for span in doc.spans["findings"]
    ]
    assert found == [
        ("effusion", "effusion", "absent", ()),
        ("ground-glass opacity", "opacity", "present", ("left", "patchy", "hazy")),
    ]


def test_the_language_is_an_option_and_a_bad_one_is_refused() -> None:
    nlp = spacy.blank("es")
    nlp.add_pipe("pneumoloc_findings", config={"lexicon": "es"})
    doc = nlp("Opacidad basal izquierda.")
    (span,) = doc.spans["findings"]
    assert span._.attributes == ("left", "basal")
    with pytest.raises(ConfigError):
        nlp.add_pipe("pneumoloc_findings", name="second", config={"lexicon": "xx"})


def test_spacy_finds_the_component_without_an_import() -> None:
    """The entry point that pip writes leads to the factory."""
    config = configparser.ConfigParser()
    config.read(Path(__file__).parents[2] / "setup.cfg")
    name, target = config["options.entry_points"]["spacy_factories"].strip().split(" = ")
    module, factory = target.split(":")
    assert name == attributes.spacy_component.NAME
    assert callable(getattr(importlib.import_module(module), factory))
