from __future__ import annotations

import pytest

from attributes.lexicon.load import load_lexicon
from attributes.structure import Structurer

STRUCTURER = Structurer(load_lexicon("en"))


def stated(text: str) -> list[str]:
    return [
        f"{finding.finding} {finding.assertion}"
        for sentence in STRUCTURER.structure(text)
        for finding in sentence.findings
    ]


# ENGINEERING_FACTS 2.4: where negspacy or medspaCy fail, and what is wanted.
WANTED = [
    (
        "No focal consolidation, effusion or pneumothorax. Patchy opacity in the left base.",
        ["consolidation absent", "effusion absent", "pneumothorax absent", "opacity present"],
    ),
    ("No evidence of pneumonia but mild edema is seen.", ["pneumonia absent", "edema present"]),
    (
        "Opacity, which may represent pneumonia, cannot be excluded.",
        ["opacity present", "pneumonia uncertain"],
    ),
    (
        "Pneumothorax has resolved. Effusion is no longer seen.",
        ["pneumothorax resolved", "effusion resolved"],
    ),
    ("No change in the right lower lobe opacity.", ["opacity present"]),
    ("Pneumonia is unlikely.", ["pneumonia absent"]),
    ("The lungs are clear without consolidation.", ["consolidation absent"]),
    ("No increase in effusion.", ["effusion present"]),
]


@pytest.mark.parametrize(("text", "expected"), WANTED, ids=[row[0][:30] for row in WANTED])
def test_the_negation_table_comes_out_as_wanted(text: str, expected: list[str]) -> None:
    assert stated(text) == expected


@pytest.mark.parametrize(
    ("text", "expected", "reason"),
    [
        ("Effusion, no pneumothorax.", ["effusion present", "pneumothorax absent"], "forward only"),
        (
            "No effusion, mild edema.",
            ["effusion absent", "edema present"],
            "a described item ends it",
        ),
        (
            "No effusion, focal consolidation.",
            ["effusion absent", "consolidation absent"],
            "focal is a word of denials",
        ),
        (
            "No effusion, mild edema or nodule.",
            ["effusion absent", "edema absent", "nodule absent"],
            "an or holds the list together",
        ),
        (
            "No effusion is seen and edema is present.",
            ["effusion absent", "edema present"],
            "a second verb starts a clause",
        ),
        (
            "Edema is seen and effusion is not seen.",
            ["edema present", "effusion absent"],
            "backward stops at its clause",
        ),
        (
            "Effusion and edema are not seen.",
            ["effusion absent", "edema absent"],
            "joined subjects",
        ),
        ("Hyperinflated with no edema.", ["edema absent"], "with does not swallow no"),
        (
            "Atelectasis or pneumonia.",
            ["atelectasis uncertain", "pneumonia uncertain"],
            "alternatives",
        ),
        (
            "No atelectasis or pneumonia.",
            ["atelectasis absent", "pneumonia absent"],
            "denied alternatives",
        ),
        ("No longer any effusion.", ["effusion resolved"], "longest phrase wins"),
        ("Possibly cyst, scarring, or pneumonia.", ["pneumonia uncertain"], "a hedged list"),
        ("Opacity likely scarring.", ["opacity present"], "the hedge is about the scar"),
        ("Opacity, likely.", ["opacity uncertain"], "a hedge at the end looks back"),
        ("The previously seen effusion is not seen.", ["effusion resolved"], "it was there"),
        ("Effusion, which has resolved.", ["effusion resolved"], "a relative clause speaks of it"),
        ("No new opacity.", ["opacity uncertain"], "an old one may remain"),
        (
            "Cannot exclude pneumonia; no effusion.",
            ["pneumonia uncertain", "effusion absent"],
            "cannot exclude is no negation",
        ),
    ],
)
def test_scope_ends_where_english_ends_it(text: str, expected: list[str], reason: str) -> None:
    assert stated(text) == expected, reason


def test_hedges_that_lean_to_yes_are_told_from_others() -> None:
    probable = STRUCTURER.structure_sentence("Probable pneumonia.")[0]
    possible = STRUCTURER.structure_sentence("Possible pneumonia.")[0]
    assert (probable.assertion, probable.is_likely) == ("uncertain", True)
    assert (possible.assertion, possible.is_likely) == ("uncertain", False)
