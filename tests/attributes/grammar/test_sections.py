from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attributes.grammar.sections import section_splitter
from attributes.grammar.sentences import SentenceSplitter
from attributes.lexicon.load import load_lexicon
from attributes.structure import Structurer

ENGLISH = load_lexicon("en")
SECTIONS = section_splitter(ENGLISH)
SENTENCES = SentenceSplitter(ENGLISH)


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in SENTENCES.spans(text)]


def test_history_indication_and_comparison_are_no_findings() -> None:
    text = (
        "INDICATION: Pneumonia?\nCOMPARISON: effusion of last week.\n"
        "FINDINGS: Left opacity.\nClinical history: edema.\nIMPRESSION: Nodule."
    )
    found = Structurer(ENGLISH).structure(text)
    assert [(s.section, s.findings[0].finding) for s in found] == [
        ("findings", "opacity"),
        ("impression", "nodule"),
    ]


@pytest.mark.parametrize(
    ("name", "is_read"),
    [
        ("FINDINGS", True),
        ("Indication", False),
        ("", True),
        ("Reason for exam", False),
        ("odd", True),
    ],
)
def test_a_named_section_is_read_unless_it_is_no_finding(name: str, is_read: bool) -> None:
    assert [part.is_read for part in SECTIONS.split("Left opacity.", name)] == [is_read]


def test_offsets_lead_back_to_the_mention() -> None:
    text = "HISTORY: cough. FINDINGS: Clear. Small left effusion.\n\n2. RUL opacity, new"
    for sentence in Structurer(ENGLISH).structure(text):
        assert text[sentence.start :].startswith(sentence.sentence)
        for finding in sentence.findings:
            mention = sentence.sentence[finding.start : finding.end]
            assert mention in ("effusion", "opacity")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No edema. No effusion.", ["No edema.", "No effusion."]),
        ("No effusion.Heart normal", ["No effusion.", "Heart normal"]),
        ("Atelectasis vs. pneumonia.", ["Atelectasis vs. pneumonia."]),
        ("A 2.5 cm nodule.", ["A 2.5 cm nodule."]),
        ("1. Edema\n2. Effusion", ["1. Edema", "2. Effusion"]),
        ("Left lower\nlobe opacity.", ["Left lower\nlobe opacity."]),
        ("One line\n\nanother line", ["One line", "another line"]),
        ("Is it edema? It is!", ["Is it edema?", "It is!"]),
        ("...", []),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, expected: list[str]) -> None:
    if text.startswith("1."):  # the number itself is no sentence
        assert [s.removeprefix("1. ").removeprefix("2. ") for s in sentences(text)] == [
            "Edema",
            "Effusion",
        ]
    else:
        assert sentences(text) == expected


@given(st.text(alphabet="ab .!?\n-1)", max_size=200))
def test_sentences_are_ordered_disjoint_and_lose_no_word(text: str) -> None:
    spans = SENTENCES.spans(text)
    assert all(a < b for a, b in spans)
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))
    covered = {place for start, end in spans for place in range(start, end)}
    assert all(word.start() in covered for word in re.finditer("[ab]{4,}", text))
