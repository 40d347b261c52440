"""Every rule of every lexicon carries its test: one sentence that fires, one that must not."""

from __future__ import annotations

import pytest

from attributes.lexicon.entries import Rule
from attributes.lexicon.load import load_lexicon
from attributes.structure import Structurer

STRUCTURERS = {language: Structurer(load_lexicon(language)) for language in ("en", "es")}
RULES = [
    pytest.param(language, rule, id=f"{language}-{rule.id}")
    for language, structurer in STRUCTURERS.items()
    for rule in structurer.lexicon.rules
]
EXPECTED = {
    "affirmation": "present",
    "pre_uncertainty": "uncertain",
    "negation": "absent",
    "resolution": "resolved",
    "uncertainty": "uncertain",
}


@pytest.mark.parametrize(("language", "rule"), RULES)
def test_the_rule_decides_a_finding_of_its_first_sentence(language: str, rule: Rule) -> None:
    found = STRUCTURERS[language].structure_sentence(rule.fires)
    decided = [finding for finding in found if finding.rule == rule.id]
    assert decided
    assert {finding.assertion for finding in decided} == {EXPECTED[rule.kind]}
    assert all(set(rule.means) <= {*finding.attributes, "new"} for finding in decided)


@pytest.mark.parametrize(("language", "rule"), RULES)
def test_the_rule_decides_nothing_in_its_second_sentence(language: str, rule: Rule) -> None:
    found = STRUCTURERS[language].structure_sentence(rule.silent)
    assert found, "the sentence must hold a finding, or it proves nothing"
    assert all(finding.rule != rule.id for finding in found)
