from __future__ import annotations

import json
import subprocess
import sys

import pytest

import attributes
from attributes import structure_report
from data_manifests.support.errors import ConfigError

TEXT = "HISTORY: Effusion.\nFINDINGS: Clear. Patchy bibasilar opacities, probably pneumonia."


def test_every_offset_leads_back_to_the_words_of_the_report() -> None:
    found = structure_report(TEXT)
    assert [(f.finding, f.assertion, f.attribute_names) for f in found] == [
        ("opacity", "present", ("bilateral", "basal", "patchy")),
        ("pneumonia", "uncertain", ("bilateral", "basal")),
    ]
    for finding in found:
        assert TEXT[finding.start : finding.end] == finding.words
        assert finding.section == "findings"
        assert finding.sentence in TEXT
        for attribute in finding.attributes:
            assert TEXT[attribute.start : attribute.end] == attribute.words
    words = {attribute.name: attribute.words for attribute in found[0].attributes}
    assert words == {"bilateral": "bibasilar", "basal": "bibasilar", "patchy": "Patchy"}


def test_the_rule_and_the_lean_of_a_hedge_are_named() -> None:
    opacity, pneumonia = structure_report(TEXT)
    assert (opacity.rule, opacity.is_likely) == ("", False)
    assert (pneumonia.rule, pneumonia.is_likely) == ("probable", True)


def test_a_finding_is_plain_data_for_json() -> None:
    data = json.loads(json.dumps(structure_report(TEXT)[0].to_dict()))
    assert data["attributes"][2] == {"name": "patchy", "words": "Patchy", "start": 36, "end": 42}


def test_a_skipped_heading_gives_nothing_and_an_unknown_lexicon_an_error() -> None:
    assert structure_report("Effusion.", section="history") == ()
    with pytest.raises(ConfigError, match="lexicon"):
        structure_report("Effusion.", lexicon="xx")


def test_spanish_reports_are_read_with_their_lexicon() -> None:
    found = structure_report("Derrame pleural derecho.", lexicon="es")
    assert [(f.finding, f.attribute_names) for f in found] == [("effusion", ("right",))]


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = (
        "import sys, attributes; print([m for m in ('yaml', 'numpy', 'spacy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="structure_reports"):
        _ = attributes.structure_reports
