"""The splitter with a small vocabulary of its own; lexicons are tested by their cases."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_manifests.support.report_headings import Headings
from data_manifests.support.report_sections import SectionSplitter

SPLITTER = SectionSplitter(
    Headings(
        read=frozenset({"findings", "final report", "wet read"}),
        impression=frozenset({"impression"}),
        skip=frozenset({"indication", "history"}),
        brief=frozenset({"comparison", "technique", "exam"}),
        labels=frozenset({"lungs", "heart"}),
        views=frozenset("chest pa ap and lateral portable two views".split()),
        joiners=frozenset({"/", "and", "&", ","}),
        connectives=frozenset({"of", "with", "is"}),
    )
)


def split(text: str, name: str = "") -> list[tuple[str, str, bool]]:
    return [
        (part.name, " ".join(part.text.split()), part.is_read)
        for part in SPLITTER.split(text, name)
    ]


FORMS = {
    "colon": "HISTORY: old\nFINDINGS: new",
    "colon in lower case": "history: old\nfindings: new",
    "lines of their own": "History\nold\n\nFindings\nnew",
    "dash": "HISTORY - old\nFINDINGS - new",
    "brackets": "[HISTORY] old\n[FINDINGS] new",
    "markdown": "**History:** old\n**Findings:** new",
    "markdown titles": "## History\nold\n## Findings\nnew",
    "one line": "HISTORY: old. FINDINGS: new",
    "one line without full stop": "History: old Findings: new",
    "capitals without a mark": "HISTORY Old\nFINDINGS New",
    "a letter missing": "HISTRY: old\nFINDNGS: new",
    "numbers": "1. HISTORY: old\n2. FINDINGS: new",
    "windows": "HISTORY: old\r\nFINDINGS: new\r\n",
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS.keys())
def test_headings_are_found_in_every_form(text: str) -> None:
    parts = split(text)
    assert [is_read for _, _, is_read in parts] == [False, True]
    assert [part.lower().strip(" .*") for _, part, _ in parts] == ["old", "new"]


@pytest.mark.parametrize(
    ("text", "expected", "reason"),
    [
        ("HISTORY: old\n\nnew body", ["new body"], "a paragraph after the history"),
        ("HISTORY:\n\nold\n\nnew", ["new"], "the history itself may come after a blank line"),
        ("HISTORY: a\n\nb\n\nFINDINGS: new", ["new"], "findings follow under their heading"),
        ("HISTORY: a\n\nnew\n\nIMPRESSION: c", ["new", "c"], "an impression alone does not"),
        ("TECHNIQUE: PA\nThe lungs are clear", ["The lungs are clear"], "technique is one line"),
        ("HISTORY: old\nand older", [], "history may be longer"),
        ("COMPARISON: None\nLungs: new", ["Lungs: new"], "a label stays in the text"),
        ("HISTORY: old\nPORTABLE CHEST: new", ["new"], "a view with a colon"),
        ("HISTORY: old\nCHEST, TWO VIEWS\nnew", ["new"], "a view line"),
        ("EXAM: CHEST PORTABLE: new", ["new"], "a view after the exam"),
        ("EXAM: CHEST\nHISTORY: old", [], "an exam's name is no body"),
        ("WET READ: new\n________\nHISTORY: old", ["new"], "a rule"),
        ("HISTORY\n=======\nold", [], "a rule under a heading underlines it"),
        ("FINAL REPORT HISTORY: old. FINDINGS: new", ["new"], "two headings in a row"),
        ("HISTORY/INDICATION: old\nFINDINGS AND IMPRESSION: new", ["new"], "joined headings"),
        (
            "Seen for fever. History: old. New body.",
            ["Seen for fever. History: old. New body."],
            "a case told in prose",
        ),
        ("HISTORY OF PNEUMONIA is noted", ["HISTORY OF PNEUMONIA is noted"], "a sentence"),
        ("FINDINGS: larger than the prior exam: new", ["larger than the prior exam: new"], "prose"),
    ],
)
def test_what_describes_the_film_is_read(text: str, expected: list[str], reason: str) -> None:
    assert [part for _, part, is_read in split(text) if is_read] == expected, reason


def test_a_section_given_by_name_is_read_or_skipped_by_it() -> None:
    assert split("x", "Indication") == [("Indication", "x", False)]
    assert split("x", "Odd name") == [("Odd name", "x", True)]
    assert [part.is_impression for part in SPLITTER.split("x", "IMPRESSION")] == [True]


@given(
    st.lists(
        st.sampled_from(
            [
                "HISTORY",
                "FINDINGS",
                ":",
                "\n",
                "\n\n",
                " ",
                "- ",
                "word",
                "Word.",
                "Lungs",
                "____",
                "*",
            ]
        ),
        max_size=30,
    ).map("".join)
)
def test_parts_are_pieces_of_the_text_in_order(text: str) -> None:
    parts = SPLITTER.split(text)
    for part in parts:
        assert text[part.start : part.start + len(part.text)] == part.text
    for first, second in itertools.pairwise(parts):
        assert first.start + len(first.text) <= second.start
